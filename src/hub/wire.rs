//! One request, made by a thread of its own. Whoever waits for it polls the interrupt flag, so a
//! silent server never keeps Ctrl-C waiting; a thread that nobody waits for any more ends with its
//! connection.

use crate::error::{Error, Result};
use crate::mlx::interrupt;
use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use ureq::RequestBuilder;
use ureq::http::HeaderMap;
use ureq::typestate::WithoutBody;

/// How often the interrupt flag is polled.
const EVERY: Duration = Duration::from_millis(100);
/// Bytes that a thread reads at a time, and how many such pieces it may be ahead.
const PIECE: usize = 128 << 10;
const AHEAD: usize = 16;

/// Why there is no answer.
pub(super) enum Failure {
    /// It did not come, or broke off; another try may help.
    Lost(String),
    /// Another try would not help: an interrupt, or a refusal.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// The head of an answer, and its body as it comes.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pieces: Receiver<Piece>,
}

enum Piece {
    Head(u16, HeaderMap),
    Body(Vec<u8>),
    End,
    Broken(String),
}

/// Sends a request and waits for the head of its answer.
pub(super) fn send(request: RequestBuilder<WithoutBody>) -> Result<Answer, Failure> {
    let (sender, pieces) = sync_channel(AHEAD);
    thread::Builder::new()
        .name("hub".into())
        .spawn(move || {
            let last = run(request, &sender).unwrap_or_else(Piece::Broken);
            // Nobody may be there to hear it.
            drop(sender.send(last));
        })
        .map_err(|e| Failure::Lost(e.to_string()))?;
    match wait(&pieces)? {
        Piece::Head(status, headers) => Ok(Answer {
            status,
            headers,
            pieces,
        }),
        Piece::Broken(why) => Err(Failure::Lost(why)),
        Piece::Body(_) | Piece::End => Err(Failure::Lost("an answer without a head".into())),
    }
}

fn run(request: RequestBuilder<WithoutBody>, sender: &SyncSender<Piece>) -> Result<Piece, String> {
    let (head, body) = request.call().map_err(told)?.into_parts();
    let mut body = body.into_reader();
    let mut piece = Piece::Head(head.status.as_u16(), head.headers);
    // A closed channel means that nobody waits any more.
    while sender.send(piece).is_ok() {
        let mut bytes = vec![0; PIECE];
        let count = body.read(&mut bytes).map_err(|e| e.to_string())?;
        if count == 0 {
            break;
        }
        bytes.truncate(count);
        piece = Piece::Body(bytes);
    }
    Ok(Piece::End)
}

fn told(error: ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn wait(pieces: &Receiver<Piece>) -> Result<Piece, Failure> {
    loop {
        interrupt::check()?;
        match pieces.recv_timeout(EVERY) {
            Ok(piece) => return Ok(piece),
            Err(RecvTimeoutError::Timeout) => (),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::Lost("the connection was given up".into()));
            }
        }
    }
}

impl Answer {
    /// A header, if it is there and readable.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next bytes of the body; nothing at its end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        match wait(&self.pieces)? {
            Piece::Body(bytes) => Ok(Some(bytes)),
            Piece::Head(..) | Piece::End => Ok(None),
            Piece::Broken(why) => Err(Failure::Lost(why)),
        }
    }

    /// The whole body, if it is not longer than a limit.
    pub(super) fn whole(&mut self, limit: usize) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next()? {
            whole.extend(bytes);
            if whole.len() > limit {
                return Err(Failure::Lost(format!(
                    "an answer of more than {limit} bytes"
                )));
            }
        }
        Ok(whole)
    }
}

/// Waits before the next of several tries: longer each time, and not at all after an interrupt.
pub(super) fn pause(tries: u32) -> Result<()> {
    let end = Instant::now() + Duration::from_millis(200) * 2u32.pow(tries.min(7));
    while Instant::now() < end {
        interrupt::check()?;
        thread::sleep(EVERY.min(end.saturating_duration_since(Instant::now())));
    }
    interrupt::check()
}
