//! Update rules, learning-rate schedules, and clipping, over flat lists of arrays.
//!
//! The lists are in the order of a parameter walk; nothing here knows a model.

mod clip;
mod optimizer;
mod rule;
mod schedule;
mod step;

pub use clip::{clip_grad_norm, grad_norm};
pub use optimizer::Optimizer;
pub use rule::{Adafactor, Rule};
pub use schedule::{Curve, Decay, Schedule, WarmUp};
