//! From logits to a token and its log-probability.

mod filters;
mod sampler;

pub use filters::{min_p, top_k, top_p};
pub use sampler::{Draw, Sampler, SamplerSettings};
