//! Where a run takes its rows from, step by step.

use super::Row;
use crate::error::Result;
use crc::{CRC_64_XZ, Crc};
use serde_json::Value;

/// Rows for the steps of a run. What a step gets depends on the seed, the step and what was observed
/// so far only, so that a resumed run goes on with the rows that would have followed.
pub trait Source {
    /// How many rows there are.
    fn len(&self) -> usize;

    /// Whether there is nothing to serve.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows of a step, from 0. Asked again for the same step, it answers the same.
    fn rows(&mut self, seed: u64, step: u64, count: usize) -> Vec<Row>;

    /// Rows in the place of those of a step that taught nothing, from round 1.
    fn others(&self, seed: u64, step: u64, round: u64, count: usize) -> Vec<Row>;

    /// Takes in the mean reward of each row of a step that was taken, NaN where it has none; a
    /// sentence, if it changes what follows.
    fn observe(&mut self, _rewards: &[f64]) -> Option<String> {
        None
    }

    /// What a step of it is, beside its own numbers: names and values.
    fn metrics(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// A number by which a resumed run tells that it goes on with the same rows.
    fn fingerprint(&self) -> u64;

    /// Where it stands, for a checkpoint.
    fn state(&self) -> Value {
        Value::Null
    }

    /// Goes back to where it stood.
    ///
    /// # Errors
    /// A state that is not one of this source.
    fn restore(&mut self, _state: &Value) -> Result<()> {
        Ok(())
    }
}

/// A number that differs where the bytes do, the same on every machine.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    const CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_XZ);
    CRC.checksum(bytes)
}
