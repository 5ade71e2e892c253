//! Requests that do not wait for the running cell: interrupt and shutdown.

use super::info::info;
use super::iopub::IoPub;
use super::wire::{Message, Wire};
use super::zmtp::{Parts, Peer};
use crate::mlx::interrupt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// How long a running cell may take to stop before the program ends without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the thread of the session waits for.
pub enum Job {
    Request(Message),
    /// Look whether the end has come.
    End,
}

/// Answers on the control socket, on the thread of its reader.
pub struct Control {
    pub wire: Arc<Wire>,
    pub iopub: Arc<IoPub>,
    pub jobs: Sender<Job>,
    pub end: Arc<End>,
}

/// Whether the program is to end.
#[derive(Default)]
pub struct End(AtomicBool);

impl End {
    /// Whether the end has come.
    pub fn has_come(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Ends the session, and the program if the session does not end soon.
    pub fn begin(&self, jobs: &Sender<Job>, iopub: &Arc<IoPub>) {
        self.0.store(true, Ordering::SeqCst);
        interrupt::set();
        // Nobody listens where the session has ended already.
        let _ = jobs.send(Job::End);
        let iopub = iopub.clone();
        let force = move || {
            std::thread::sleep(PATIENCE);
            iopub.finish();
            std::process::exit(0);
        };
        if std::thread::Builder::new().spawn(force).is_err() {
            std::process::exit(0);
        }
    }
}

impl Control {
    /// Answers a message.
    pub fn take(&self, peer: &Peer, parts: Parts) {
        let message = match self.wire.read(parts) {
            Ok(message) => message,
            Err(reason) => return tracing::warn!("kernel, control: {reason}; dropped"),
        };
        self.iopub.status("busy", &message.header);
        let answer = self.answer(&message);
        if let Some((kind, content)) = &answer {
            let to = &message.identities;
            // All front ends are to know of the end.
            if *kind == "shutdown_reply" {
                self.iopub.send(kind, &message.header, content);
            }
            peer.send(&self.wire.write(to, kind, &message.header, content));
        }
        self.iopub.status("idle", &message.header);
        if matches!(answer, Some(("shutdown_reply", _))) {
            self.end.begin(&self.jobs, &self.iopub);
        }
    }

    fn answer(&self, message: &Message) -> Option<(&'static str, Value)> {
        match message.kind() {
            "interrupt_request" => {
                interrupt::set();
                Some(("interrupt_reply", json!({"status": "ok"})))
            }
            "shutdown_request" => Some(("shutdown_reply", shutdown(message))),
            "kernel_info_request" => Some(("kernel_info_reply", info())),
            _ => None,
        }
    }
}

/// The content of a `shutdown_reply`.
pub fn shutdown(message: &Message) -> Value {
    json!({"status": "ok", "restart": message.flag("restart", false)})
}
