//! ZeroMQ's wire protocol (ZMTP 3.0) as far as a kernel needs it: sockets that bind, without a
//! handshake of passwords.
//!
//! It is written here, over plain sockets and threads, because a library that makes room for as many
//! bytes as a frame announces can be ended by anybody who may open the port.

mod frames;
mod handshake;
mod peer;
mod socket;

pub use frames::{LARGEST, SMALL};
pub use peer::Peer;
pub use socket::{Role, Socket};

/// The parts of a message.
pub type Parts = Vec<Vec<u8>>;
