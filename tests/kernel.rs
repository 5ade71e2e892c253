//! The Jupyter kernel, over real sockets: with a client of our own, and with Jupyter's.
#![cfg(feature = "kernel")]

#[path = "kernel/client.rs"]
mod client;
#[path = "kernel/jupyter.rs"]
mod jupyter;
#[path = "kernel/same.rs"]
mod same;
#[path = "kernel/sockets.rs"]
mod sockets;
