//! The numbers of a run as event files, which TensorBoard shows.

use super::Metrics;
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tfrecord::{EventMeta, EventWriter, EventWriterConfig};

/// An event file in the folder `tensorboard` of a run; each start of the run has its own.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    writer: EventWriter<BufWriter<File>>,
}

impl Events {
    /// A new file.
    pub fn create(run: &Path) -> Result<Self> {
        let folder = run.join("tensorboard");
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let nanoseconds = (now() * 1e9) as u64;
        let path = folder.join(format!("events.out.tfevents.{nanoseconds}.mlx-repl"));
        let writer = EventWriter::create(&path, EventWriterConfig::default())
            .map_err(|error| Error::file(&path, error))?;
        Ok(Self { path, writer })
    }

    /// Writes every number of a step; one that is not finite shows as a gap.
    pub fn write(&mut self, metrics: &Metrics) -> Result<()> {
        let step = metrics.get("step").unwrap_or(0.0) as i64;
        for (name, value) in &metrics.values {
            let meta = EventMeta::new(step, now());
            self.writer
                .write_scalar(name, meta, *value as f32)
                .map_err(|error| Error::file(&self.path, error))?;
        }
        Ok(())
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tfrecord::protobuf::event::What;
    use tfrecord::protobuf::summary::value::Value;

    #[test]
    fn what_is_written_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = Events::create(dir.path()).unwrap();
        let mut metrics = Metrics::default();
        metrics.set("step", 3.0);
        metrics.set("reward", 0.25);
        events.write(&metrics).unwrap();
        let reader = tfrecord::EventIter::open(&events.path, Default::default()).unwrap();
        let mut found = Vec::new();
        for event in reader {
            let event = event.unwrap();
            assert_eq!(event.step, 3);
            assert!(event.wall_time > 1e9 && event.wall_time < 1e11);
            let Some(What::Summary(summary)) = event.what else {
                continue;
            };
            for value in summary.value {
                if let Some(Value::SimpleValue(number)) = value.value {
                    found.push((value.tag, number));
                }
            }
        }
        assert_eq!(found, [("step".into(), 3.0), ("reward".into(), 0.25)]);
    }
}
