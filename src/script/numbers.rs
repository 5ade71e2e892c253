//! Numbers as a researcher expects them.

use rhai::{Engine, FLOAT, INT};

/// Comparisons of mixed numbers without the tolerance that Rhai gives them: with it, a reward
/// that compares with infinity or with a tiny number is wrong in silence.
pub fn register(engine: &mut Engine) {
    macro_rules! comparisons {
        ($($op:literal => $f:tt),*) => {$(
            engine.register_fn($op, |a: FLOAT, b: FLOAT| a $f b);
            engine.register_fn($op, |a: INT, b: FLOAT| (a as FLOAT) $f b);
            engine.register_fn($op, |a: FLOAT, b: INT| a $f (b as FLOAT));
        )*};
    }
    comparisons!("==" => ==, "!=" => !=, "<" => <, "<=" => <=, ">" => >, ">=" => >=);
    // Off, so that these are found before Rhai's own.
    engine.set_fast_operators(false);
}
