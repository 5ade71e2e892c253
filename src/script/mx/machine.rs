//! The session's device, memory and random numbers, and when it computes.

use super::random::seed;
use crate::error::Result;
use crate::mlx::{self, Array};
use crate::script::bind::{Binder, Call};
use crate::script::tree;
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
    // Each form is also registered for fewer arguments, which the next one takes over.
    for count in (2..=8).rev() {
        let params: Vec<String> = (1..=count)
            .map(|i| format!("_{i}: Tensor or list or map"))
            .collect();
        let signature = format!("eval({})", params.join(", "));
        b.function(&signature, "", "", move |c| eval(c, count));
    }
    b.function(
        "eval(value: Tensor or list or map)",
        "Computes tensors now; everything before is only planned. Takes up to 8 values.",
        "let a = mx::ones([2]) + 1;
         let b = a * 2;
         mx::eval(a, b);
         mx::eval([a, #{ b: b }]);",
        |c| eval(c, 1),
    );
}

fn eval(c: &Call, count: usize) -> Result<()> {
    let leaves = (0..count).map(|i| tree::leaves(c.get(i)));
    let leaves: Vec<Vec<Array>> = leaves.collect::<Result<_>>()?;
    mlx::eval(&leaves.concat())
}
