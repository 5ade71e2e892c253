//! Questions of a running script to the person at the front end.

use super::wire::{Message, Wire};
use super::zmtp::{LARGEST, Parts, Role, Socket};
use crate::error::{Error, Result};
use crate::mlx::interrupt;
use serde_json::{Value, json};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the interrupt flag is looked at while nobody answers.
const POLL: Duration = Duration::from_millis(20);

/// What a front end sends for the end of input.
const END: &str = "\x04";

/// The socket over which is asked.
pub struct Stdin {
    socket: Socket,
    wire: Arc<Wire>,
    asked: Arc<Asked>,
}

/// Where the answer goes that is waited for.
type Asked = Mutex<Option<Sender<String>>>;

impl Stdin {
    /// Binds.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub fn bind(address: (&str, u16), wire: Arc<Wire>) -> Result<Self> {
        let asked: Arc<Asked> = Arc::default();
        let (reading, waiting) = (wire.clone(), asked.clone());
        let answer = move |_: &_, parts| match reading.read(parts) {
            Ok(message) if message.kind() == "input_reply" => answer(&message, &waiting),
            Ok(_) => {}
            Err(reason) => tracing::warn!("kernel, stdin: {reason}; dropped"),
        };
        let socket = Socket::bind("stdin", address, Role::Router, LARGEST, answer);
        Ok(Self {
            socket: socket.map_err(Error::io(format!("{}:{}", address.0, address.1)))?,
            wire,
            asked,
        })
    }

    /// Asks the front end that sent a request, and waits for the line; `None` is the end of input.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; a front end that is not there.
    pub fn ask(&self, prompt: &str, to: &Parts, parent: &Value) -> Result<Option<String>> {
        let (sender, answers) = channel();
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let content = json!({"prompt": prompt, "password": false});
        let parts = self.wire.write(to, "input_request", parent, &content);
        if !self.socket.send(parts) {
            return Err(nobody());
        }
        loop {
            interrupt::check()?;
            match answers.recv_timeout(POLL) {
                Ok(line) => return Ok((line != END).then_some(line)),
                // A front end that was closed will not answer.
                Err(RecvTimeoutError::Timeout) => {
                    if !to.first().is_some_and(|peer| self.socket.has(peer)) {
                        return Err(gone());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(nobody()),
            }
        }
    }
}

/// There is no front end that could answer.
pub fn nobody() -> Error {
    Error::Unsupported("there is nobody here to ask: this front end takes no input".into())
}

fn gone() -> Error {
    Error::Unsupported("there is nobody here to ask any more: the front end has gone".into())
}

fn answer(message: &Message, waiting: &Asked) {
    let sender = waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    // Nobody waits any more after an interrupt.
    if let Some(sender) = sender {
        let _ = sender.send(message.text("value").to_string());
    }
}
