//! Decode loops over token ids. Nothing here knows text.

mod batch;
mod score;
mod settings;
mod step;

pub use batch::{Observer, Silent, generate};
pub use score::{perplexity, score};
pub use settings::{Finish, GenerateSettings, Generated};
pub use step::prefill;
