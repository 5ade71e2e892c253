//! The Jupyter kernel: the same session in a notebook.
//!
//! The thread that calls [`run`] owns the session and works on one request after another. Sockets have
//! threads of their own, which hand on plain data: requests through a channel, an interrupt as a flag.

mod commands;
mod connection;
mod control;
mod cursor;
mod curve;
mod download;
mod evaluator;
mod execute;
mod history;
mod info;
mod iopub;
mod notebook;
mod output;
mod parent;
mod server;
pub mod spec;
mod stdin;
mod wire;
mod zmtp;

pub use connection::Connection;
pub use notebook::Notebook;
pub use server::run;
