//! From logits to a token and its log-probability.

mod filters;
mod penalties;
mod sampler;
mod settings;
#[cfg(test)]
mod tests;

pub use filters::{min_p, top_k, top_p, xtc};
pub use penalties::{
    frequency_penalty, history_of, logit_bias, presence_penalty, repetition_penalty,
};
pub use sampler::{Chance, Draw, Sampler, invert};
pub use settings::{PenaltySettings, RowSettings, SamplerSettings};
