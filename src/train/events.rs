//! The numbers of a run as event files, which TensorBoard shows.

use super::Metrics;
use crate::error::{Error, Result};
use crc::{CRC_32_ISCSI, Crc};
use prost::Message;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The parts of TensorFlow's `event.proto` that numbers need.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    /// The first event of a file says its format.
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// Of `summary.proto`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// An event file in the folder `tensorboard` of a run; each start of the run has its own.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// A new file.
    pub fn create(run: &Path) -> Result<Self> {
        let folder = run.join("tensorboard");
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let nanoseconds = (now() * 1e9) as u64;
        let path = folder.join(format!("events.out.tfevents.{nanoseconds}.mlx-repl"));
        let file = File::create(&path).map_err(Error::io(&path))?;
        let mut events = Self { path, file };
        events.append(&Event {
            wall_time: now(),
            file_version: Some("brain.Event:2".into()),
            ..Event::default()
        })?;
        Ok(events)
    }

    /// Writes every number of a step.
    pub fn write(&mut self, metrics: &Metrics) -> Result<()> {
        let values = metrics.values.iter().map(|(name, value)| Value {
            tag: name.clone(),
            simple_value: *value as f32,
        });
        self.append(&Event {
            wall_time: now(),
            step: metrics.get("step").unwrap_or(0.0) as i64,
            summary: Some(Summary {
                value: values.collect(),
            }),
            file_version: None,
        })
    }

    /// A record of TensorFlow's kind: the length, its checksum, the message, its checksum.
    fn append(&mut self, event: &Event) -> Result<()> {
        let message = event.encode_to_vec();
        let length = (message.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(checksum(&length).to_le_bytes());
        record.extend_from_slice(&message);
        record.extend(checksum(&message).to_le_bytes());
        let written = self.file.write_all(&record);
        written.map_err(Error::io(&self.path))
    }
}

/// CRC-32C, turned and shifted so that a checksum of checksums is of use.
fn checksum(bytes: &[u8]) -> u32 {
    const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    let sum = CASTAGNOLI.checksum(bytes);
    sum.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn now() -> f64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = Events::create(dir.path()).unwrap();
        let mut metrics = Metrics::default();
        metrics.set("step", 3.0);
        metrics.set("reward", 0.25);
        events.write(&metrics).unwrap();
        let bytes = fs::read(&events.path).unwrap();
        let (mut at, mut found) = (0, Vec::new());
        while at < bytes.len() {
            let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
            found.push(Event::decode(&bytes[at + 12..at + 12 + length]).unwrap());
            at += 16 + length;
        }
        assert_eq!(at, bytes.len());
        assert_eq!(found[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!(found[1].step, 3);
        let values = &found[1].summary.as_ref().unwrap().value;
        assert_eq!(
            (values[1].tag.as_str(), values[1].simple_value),
            ("reward", 0.25)
        );
    }

    #[test]
    fn checksums_are_masked_as_tensorflow_masks_them() {
        // A file of TensorFlow begins with a record of 24 bytes: its length, then a3 7f 4b 22.
        assert_eq!(
            checksum(&24u64.to_le_bytes()).to_le_bytes(),
            [0xa3, 0x7f, 0x4b, 0x22]
        );
    }
}
