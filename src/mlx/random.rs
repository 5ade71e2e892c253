//! Random numbers: MLX's keys on the device, and a small generator on the host.
//!
//! The host's generator makes one number for each sampled token and shuffles data. Its numbers
//! depend on a seed and a count only, so that a request draws the same tokens alone or in a batch.

use super::{Array, raw};
use crate::error::Result;
use std::cell::RefCell;

thread_local! {
    static SESSION: RefCell<Host> = RefCell::new(Host::new(time_seed()));
}

/// Seeds everything random that has no seed of its own: MLX's global key and the session's.
pub fn seed(seed: u64) -> Result<()> {
    SESSION.with(|host| *host.borrow_mut() = Host::new(seed));
    // SAFETY: a call without pointers. mlx-rs keeps a generator of its own, which nothing uses.
    raw::status(|| unsafe { mlx_sys::mlx_random_seed(seed) })
}

/// A fresh seed from the session's generator, for work that was given none.
pub fn fresh_seed() -> u64 {
    SESSION.with(|host| host.borrow_mut().next_u64())
}

/// MLX's key for a seed.
pub fn key(seed: u64) -> Result<Array> {
    Ok(mlx_rs::random::key(seed)?)
}

/// A seed that depends on both arguments; used for the rows of a batch and the steps of a run.
pub fn derive(seed: u64, index: u64) -> u64 {
    Host::new(seed ^ mix(index.wrapping_add(1))).next_u64()
}

/// SplitMix64 (Steele, Lea and Flood 2014): a counter through a mixing function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    state: u64,
}

impl Host {
    /// A generator that starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number in `[0, 1)` with 23 random bits: times a sum in f32 it stays below the sum.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 41) as f32 / (1u64 << 23) as f32
    }

    /// A number in `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// Puts a list in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn time_seed() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos() as u64)
}

/// mlx-rs asks macOS for the time when it seeds itself; elsewhere this answers.
#[cfg(not(target_os = "macos"))]
#[unsafe(no_mangle)]
pub extern "C" fn mach_approximate_time() -> u64 {
    time_seed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_matches_its_reference() {
        // The first outputs of SplitMix64 for seed 1234567, from the authors' C code.
        let mut host = Host::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| host.next_u64()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn uniform_numbers_fill_the_unit_interval() {
        let mut host = Host::new(7);
        let draws: Vec<f32> = (0..20_000).map(|_| host.uniform()).collect();
        assert!(draws.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = draws.iter().sum::<f32>() / draws.len() as f32;
        // Standard error 0.002: five of them.
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn a_shuffle_keeps_every_element() {
        let mut list: Vec<usize> = (0..50).collect();
        Host::new(3).shuffle(&mut list);
        assert_ne!(list, (0..50).collect::<Vec<_>>());
        list.sort_unstable();
        assert_eq!(list, (0..50).collect::<Vec<_>>());
    }
}
