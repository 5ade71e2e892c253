//! Layers as plain values: weights in fields, `forward(&self, ..)`, used unchanged by decoding
//! and by training.

mod activations;
mod embedding;
mod linear;
pub mod params;
mod rms_norm;
mod rope;
mod swiglu;

pub use activations::log_softmax;
pub use embedding::Embedding;
pub use linear::Linear;
pub use params::Params;
pub use rms_norm::RmsNorm;
pub use rope::{Position, Rope};
pub use swiglu::SwiGlu;
