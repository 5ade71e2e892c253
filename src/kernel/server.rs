//! Requests on the shell socket, one after another.

use super::control::{Control, End, Job, shutdown};
use super::cursor::{byte_of, character_of, indent, name_at};
use super::evaluator::{Completeness, Evaluator};
use super::history::History;
use super::info::info;
use super::iopub::IoPub;
use super::output::{Output, data};
use super::stdin::Stdin;
use super::wire::{Message, Wire};
use super::zmtp::{LARGEST, Parts, Peer, Role, SMALL, Socket};
use super::{Connection, parent};
use crate::error::{Error, Result};
use crate::mlx::interrupt;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long the last answers may take to leave.
const PATIENCE: Duration = Duration::from_secs(1);

/// A kernel at work.
pub struct Server<E> {
    pub(super) evaluator: E,
    pub(super) output: Output,
    /// The number of the last cell that counts.
    pub(super) count: u64,
    pub(super) history: History,
    shell: Socket,
    wire: Arc<Wire>,
    jobs: Receiver<Job>,
    /// What waited when a cell failed, and was sent in the belief that all goes well.
    doomed: VecDeque<Job>,
    end: Arc<End>,
}

/// Serves front ends until one of them asks for the end, or the parent is gone.
///
/// # Errors
/// An address that cannot be bound.
pub fn run<E: Evaluator>(connection: &Connection, make: impl FnOnce(Output) -> E) -> Result<()> {
    let wire = Arc::new(Wire::new(&connection.key));
    let end: Arc<End> = Arc::default();
    let (sender, jobs) = channel();
    let iopub = IoPub::bind(connection.address(connection.iopub_port), wire.clone())?;
    let stdin = Stdin::bind(connection.address(connection.stdin_port), wire.clone())?;
    let (reading, requests) = (wire.clone(), sender.clone());
    let take = move |peer: &Peer, parts: Parts| take(peer, parts, &reading, &requests);
    let shell = router("shell", connection, connection.shell_port, LARGEST, take)?;
    let control = Control {
        wire: wire.clone(),
        iopub: iopub.clone(),
        jobs: sender.clone(),
        end: end.clone(),
    };
    let take = move |peer: &Peer, parts: Parts| control.take(peer, parts);
    let control = router(
        "control",
        connection,
        connection.control_port,
        LARGEST,
        take,
    )?;
    let echo = |peer: &Peer, parts: Parts| peer.answer(&parts);
    router("heartbeat", connection, connection.hb_port, SMALL, echo)?;
    let (orphaned, orphan_iopub) = (end.clone(), iopub.clone());
    let (signalled, signal_jobs, signal_iopub) = (end.clone(), sender.clone(), iopub.clone());
    // Whoever ends a kernel by a signal waits for no cell.
    let handler = move || signalled.begin(&signal_jobs, &signal_iopub);
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::warn!("kernel: signals cannot be caught: {error}");
    }
    parent::watch(move || orphaned.begin(&sender, &orphan_iopub));
    let output = Output::new(iopub.clone(), stdin);
    let server = Server {
        evaluator: make(output.clone()),
        output,
        count: 0,
        history: History::default(),
        shell,
        wire,
        jobs,
        doomed: VecDeque::new(),
        end,
    };
    let shell = server.shell.clone();
    iopub.status("starting", &Value::Null);
    server.serve();
    iopub.finish();
    shell.flush(PATIENCE);
    control.flush(PATIENCE);
    Ok(())
}

fn router(
    name: &'static str,
    connection: &Connection,
    port: u16,
    most: u64,
    take: impl Fn(&Peer, Parts) + Send + Sync + 'static,
) -> Result<Socket> {
    let bound = Socket::bind(name, connection.address(port), Role::Router, most, take);
    bound.map_err(Error::io(format!("{}:{port}", connection.ip)))
}

/// Checks a request and puts it into the queue.
fn take(peer: &Peer, parts: Parts, wire: &Wire, requests: &Sender<Job>) {
    match wire.read(parts) {
        Ok(mut message) => {
            message.identities.insert(0, peer.identity.clone());
            // After the end nobody answers.
            let _ = requests.send(Job::Request(message));
        }
        Err(reason) => tracing::warn!("kernel, shell: {reason}; dropped"),
    }
}

impl<E: Evaluator> Server<E> {
    fn serve(mut self) {
        loop {
            // One that came when the last answer was on its way was meant for those that wait.
            if interrupt::is_set() {
                interrupt::clear();
                self.doom_waiting();
            }
            let doomed = self.doomed.pop_front();
            let is_doomed = doomed.is_some();
            let job = doomed.map_or_else(|| self.jobs.recv(), Ok);
            let Ok(Job::Request(message)) = job else {
                return;
            };
            if self.end.has_come() || !self.work_on(&message, is_doomed) {
                return;
            }
        }
    }

    /// Cells that wait now will not be run. To be called before the front end hears of a failure:
    /// what it sends afterwards is meant.
    pub(super) fn doom_waiting(&mut self) {
        self.doomed.extend(self.jobs.try_iter());
    }

    /// Works on a request; false if it is the last.
    fn work_on(&mut self, message: &Message, is_doomed: bool) -> bool {
        self.output.answer_to(message);
        // One that comes after `busy` is meant for this request; nobody can mean it earlier.
        interrupt::clear();
        self.output
            .send("status", &json!({"execution_state": "busy"}));
        let answer = AssertUnwindSafe(|| self.answer(message, is_doomed));
        let goes_on = catch_unwind(answer).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied());
            self.broke(message, text.unwrap_or("no message"));
            true
        });
        self.output
            .send("status", &json!({"execution_state": "idle"}));
        goes_on
    }

    /// Answers a request; false if it is the last.
    fn answer(&mut self, message: &Message, is_doomed: bool) -> bool {
        match message.kind() {
            "execute_request" if is_doomed => {
                // Without a number: front ends would put it before a cell that never ran.
                let content = json!({"status": "aborted"});
                self.reply(message, "execute_reply", content);
            }
            "execute_request" => self.execute(message),
            "kernel_info_request" => self.reply(message, "kernel_info_reply", info()),
            "complete_request" => self.complete(message),
            "inspect_request" => self.inspect(message),
            "is_complete_request" => self.is_complete(message),
            "history_request" => {
                let found = self.history.answer(&message.content);
                let content = json!({"status": "ok", "history": found});
                self.reply(message, "history_reply", content);
            }
            "comm_info_request" => {
                let content = json!({"status": "ok", "comms": {}});
                self.reply(message, "comm_info_reply", content);
            }
            "comm_open" => {
                // Nothing here speaks with widgets.
                let content = json!({"comm_id": message.content["comm_id"], "data": {}});
                self.output.send("comm_close", &content);
            }
            "shutdown_request" => {
                let content = shutdown(message);
                self.output.send("shutdown_reply", &content);
                self.reply(message, "shutdown_reply", content);
                return false;
            }
            // A later version of the protocol may ask for more.
            _ => {}
        }
        true
    }

    /// Sends the answer to a request.
    pub(super) fn reply(&self, message: &Message, kind: &str, content: Value) {
        let (to, parent) = (&message.identities, &message.header);
        self.shell.send(self.wire.write(to, kind, parent, &content));
    }

    fn complete(&self, message: &Message) {
        let code = message.text("code");
        let end = byte_of(code, cursor(message));
        let (start, names) = self.evaluator.complete(&code[..end]);
        let content = json!({
            "status": "ok",
            "matches": names,
            "cursor_start": character_of(code, start),
            "cursor_end": character_of(code, end),
            "metadata": {},
        });
        self.reply(message, "complete_reply", content);
    }

    fn inspect(&self, message: &Message) {
        let code = message.text("code");
        let at = byte_of(code, cursor(message));
        let name = name_at(code, at);
        // Level 1 asks for the source.
        let marks = match message.content["detail_level"].as_u64() {
            Some(1) => "??",
            _ => "?",
        };
        // Where the type of what stands before a member is not known, the member alone may be.
        let mut names = vec![name, name.rsplit('.').next().unwrap_or(name)];
        // Between arguments the function is meant, and at a key of its settings the same.
        let called = self.evaluator.called(&code[..at]);
        if let Some((function, is_key)) = &called {
            names.insert(if *is_key { 0 } else { 2 }, function);
        }
        let told = |name: &str| self.evaluator.about(&format!("{name}{marks}"))?.ok();
        let found = names.into_iter().find_map(told);
        let bundle = found.map(|text| vec![("text/plain", text)]);
        let content = json!({
            "status": "ok",
            "found": bundle.is_some(),
            "data": data(&bundle.unwrap_or_default()),
            "metadata": {},
        });
        self.reply(message, "inspect_reply", content);
    }

    fn is_complete(&self, message: &Message) {
        let code = message.text("code");
        let content = match self.evaluator.completeness(code) {
            Completeness::Complete => json!({"status": "complete"}),
            Completeness::Invalid => json!({"status": "invalid"}),
            Completeness::Incomplete => json!({"status": "incomplete", "indent": indent(code)}),
        };
        self.reply(message, "is_complete_reply", content);
    }
}

/// Where the cursor stands, in characters.
fn cursor(message: &Message) -> usize {
    let position = message.content["cursor_pos"].as_u64().unwrap_or(u64::MAX);
    usize::try_from(position).unwrap_or(usize::MAX)
}
