//! From logits to a token and its log-probability.
//!
//! Penalties change logits by what came before, filters exclude tokens, and one number for each
//! row draws among the rest. The order and the kept sets are those of mlx-lm 0.32.2.

mod chain;
mod columns;
mod draw;
mod filters;
mod part;
mod penalties;
mod recent;
mod sampler;
mod settings;

pub use draw::{Chance, Draw, draw_from};
pub use filters::{min_p, top_k, top_p, xtc};
pub use penalties::{frequency_penalty, logit_bias, presence_penalty, repetition_penalty};
pub use sampler::Sampler;
pub use settings::{PenaltySettings, RowSettings, SamplerSettings};
