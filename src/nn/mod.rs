//! Layers as plain values: weights in fields, `forward(&self, ..)`, used unchanged by decoding
//! and by training; and functions of tensors, from which a script builds layers of its own.

pub mod activations;
mod dropout;
mod embedding;
pub mod init;
mod joined;
mod linear;
mod lora;
pub mod losses;
mod matrix;
mod norms;
pub mod params;
mod pooling;
mod positions;
mod recurrent;
mod rms_norm;
mod rope;
mod router;
mod swiglu;
mod switch;
mod upsample;

pub use activations::log_softmax;
pub use dropout::dropout;
pub use embedding::Embedding;
pub use joined::Joined;
pub use linear::{Linear, bilinear, linear};
pub use lora::{Lora, LoraShape};
pub use matrix::{Matrix, Packed};
pub use norms::{affine, batch_norm, group_norm, instance_norm};
pub use params::{Layer, Params, Role};
pub use pooling::{Pool, pool};
pub use positions::sinusoidal;
pub use recurrent::{Weights, gru, lstm, rnn};
pub use rms_norm::RmsNorm;
pub use rope::{Position, Rope, Rotation, Scaling};
pub use router::{Router, load_balancing_loss};
pub use swiglu::SwiGlu;
pub use switch::{SwitchGlu, SwitchLinear};
pub use upsample::{Interpolation, Upsample};
