//! Update rules, learning-rate schedules, and clipping, over flat lists of arrays.
//!
//! The lists are in the order of a parameter walk; nothing here knows a model.

mod clip;
mod rule;
mod schedule;

pub use clip::{clip_grad_norm, grad_norm};
pub use rule::{Optimizer, Rule};
pub use schedule::{Decay, Schedule};
