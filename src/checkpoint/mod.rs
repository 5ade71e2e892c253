//! Names and bytes on disk: arrays in the file formats of MLX, and directories in Hugging Face
//! layout.
//!
//! Nothing here knows an architecture. Everything is written aside and renamed when whole; what
//! is read is checked against the size of its file before memory is asked for.

mod aside;
mod folder;
mod gguf;
mod model_dir;
mod npy;
mod npz;
mod safetensors;
mod weights;

pub use folder::{clear_leftovers, remove_folder, replace_folder, restore_folder};
pub use gguf::{Gguf, Meta, read_gguf, write_gguf};
pub use model_dir::{ModelDir, write_file};
pub use npy::{read_npy, write_npy};
pub use npz::{read_npz, write_npz};
pub use safetensors::{read, read_with_metadata, write, write_with_metadata};
pub use weights::{INDEX, Weights};
