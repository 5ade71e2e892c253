//! Decode loops over token ids. Nothing here knows text.

mod batch;
mod settings;
mod step;

pub use batch::{Observer, Silent, generate};
pub use settings::{Finish, GenerateSettings, Generated};
pub use step::prefill;
