//! What everybody may see: states, streams, values, pictures.
//!
//! A script may print ten thousand lines in a moment. Text is therefore collected and sent some times
//! a second, when it is much, and before anything else is sent, so that the order is kept.

use super::wire::Wire;
use super::zmtp::{Peer, Role, SMALL, Socket};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long text may wait for more.
const PAUSE: Duration = Duration::from_millis(60);
/// Text that waits for nothing more.
const ENOUGH: usize = 32 << 10;
/// How long the program waits at its end for front ends that read slowly.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// The socket that publishes.
pub struct IoPub {
    socket: Socket,
    wire: Arc<Wire>,
    waiting: Mutex<Waiting>,
    news: Condvar,
}

/// Text that was written and not sent.
struct Waiting {
    stream: Stream,
    text: String,
    parent: Arc<Value>,
}

impl IoPub {
    /// Binds, and sends from a thread of its own the text that waits.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub fn bind(address: (&str, u16), wire: Arc<Wire>) -> Result<Arc<Self>> {
        let signing = wire.clone();
        let welcome = move |peer: &Peer, message| {
            // A front end knows by this that it misses nothing from now on.
            if let Some(topic) = peer.subscribe(&message) {
                let content = json!({"subscription": String::from_utf8_lossy(&topic)});
                let to = vec![topic];
                peer.answer(&signing.write(&to, "iopub_welcome", &Value::Null, &content));
            }
        };
        let socket = Socket::bind("iopub", address, Role::Publisher, SMALL, welcome);
        let iopub = Arc::new(Self {
            socket: socket.map_err(Error::io(format!("{}:{}", address.0, address.1)))?,
            wire,
            waiting: Mutex::new(Waiting {
                stream: Stream::Out,
                text: String::new(),
                parent: Arc::default(),
            }),
            news: Condvar::new(),
        });
        let sending = iopub.clone();
        std::thread::Builder::new()
            .name("kernel-text".into())
            .spawn(move || sending.send_text())
            .map_err(Error::io("a thread"))?;
        Ok(iopub)
    }

    /// Sends a message in answer to another.
    pub fn send(&self, kind: &str, parent: &Value, content: &Value) {
        let mut waiting = self.waiting();
        self.send_waiting(&mut waiting);
        self.publish(kind, parent, content);
    }

    /// Says that a request is being worked on, or was.
    pub fn status(&self, state: &str, parent: &Value) {
        self.send("status", parent, &json!({"execution_state": state}));
    }

    /// Writes text; it is sent soon.
    pub fn write(&self, stream: Stream, text: &str, parent: &Arc<Value>) {
        let mut waiting = self.waiting();
        if waiting.stream != stream || !Arc::ptr_eq(&waiting.parent, parent) {
            self.send_waiting(&mut waiting);
            waiting.stream = stream;
            waiting.parent = parent.clone();
        }
        if waiting.text.is_empty() {
            self.news.notify_one();
        }
        waiting.text.push_str(text);
        if waiting.text.len() >= ENOUGH {
            self.send_waiting(&mut waiting);
        }
    }

    /// The name of this kernel's session.
    pub fn session(&self) -> &str {
        self.wire.session()
    }

    /// Sends the text that waits.
    pub fn flush(&self) {
        self.send_waiting(&mut self.waiting());
    }

    /// Waits until front ends have got everything, but not for ever.
    pub fn finish(&self) {
        self.flush();
        self.socket.flush(PATIENCE);
    }

    fn send_text(&self) {
        loop {
            let waiting = self.waiting();
            let nothing = |waiting: &mut Waiting| waiting.text.is_empty();
            let waiting = self.news.wait_while(waiting, nothing);
            drop(waiting.unwrap_or_else(PoisonError::into_inner));
            std::thread::sleep(PAUSE);
            self.flush();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_waiting(&self, waiting: &mut Waiting) {
        if waiting.text.is_empty() {
            return;
        }
        let name = match waiting.stream {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        };
        let content = json!({"name": name, "text": std::mem::take(&mut waiting.text)});
        self.publish("stream", &waiting.parent, &content);
    }

    fn publish(&self, kind: &str, parent: &Value, content: &Value) {
        let topic = format!("kernel.{kind}").into_bytes();
        let parts = self.wire.write(&vec![topic], kind, parent, content);
        self.socket.publish(&parts);
    }
}
