//! Decode loops over token ids: one step; rows together, continuously; one that continues a cache;
//! one with drafts. The loops know no text; `stops` listens to them for strings.

mod draft;
mod engine;
mod live;
mod score;
mod settings;
mod single;
mod speculate;
mod step;
mod stops;

pub use draft::Draft;
pub use engine::{complete, generate};
pub use score::{perplexity, score};
pub use settings::{
    EngineSettings, Finish, GenerateSettings, Generated, Next, Observer, Request, Silent,
};
pub use single::continue_cache;
pub use speculate::{Speculation, speculate};
pub use step::prefill;
pub use stops::Stops;
