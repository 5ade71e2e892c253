//! The session's device, memory and random numbers.

use super::random::seed;
use crate::mlx;
use crate::script::bind::Binder;
use rhai::{INT, Map};

/// Puts the functions into `mx`.
pub fn register(b: &mut Binder) {
    b.function(
        "seed(n: integer)",
        "Seeds everything random that is not given a seed or a key of its own.",
        "mx::seed(1);
         let first = mx::random::normal([2]);
         mx::seed(1);
         assert_eq(mx::random::normal([2]), first);",
        |c| mlx::random::seed(seed(c)?),
    );
    b.function(
        "device() -> string",
        "The device in use, `\"cpu\"` or `\"gpu\"`.",
        "assert([\"cpu\", \"gpu\"].contains(mx::device()));",
        |_| Ok(mlx::device::current().name().to_string()),
    );
    b.function(
        "memory() -> map",
        "Memory of MLX in bytes: `#{ active, peak, cache }`.",
        "assert(mx::memory().peak >= mx::memory().active);",
        |_| {
            let memory = mlx::memory::memory()?;
            let parts = [
                ("active", memory.active),
                ("peak", memory.peak),
                ("cache", memory.cache),
            ];
            let entries = parts.map(|(name, bytes)| (name.into(), (bytes as INT).into()));
            Ok(entries.into_iter().collect::<Map>())
        },
    );
    b.function(
        "reset_peak_memory()",
        "Starts a new measurement of `mx::memory().peak`.",
        "mx::reset_peak_memory();",
        |_| mlx::memory::reset_peak(),
    );
    b.function(
        "clear_cache()",
        "Gives memory that is kept for reuse back to the machine.",
        "mx::clear_cache();
         assert_eq(mx::memory().cache, 0);",
        |_| mlx::memory::clear_cache(),
    );
}
