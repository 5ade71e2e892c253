//! Names and bytes on disk: safetensors files and directories in Hugging Face layout.
//!
//! Nothing here knows an architecture. Everything is written aside and renamed when whole.

mod model_dir;
mod safetensors;

pub use model_dir::{ModelDir, write_file};
pub use safetensors::{read, read_weights, write};
