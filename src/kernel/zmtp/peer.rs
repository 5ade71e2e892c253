//! One connection: a thread that reads, a thread that writes, and a queue between.

use super::Parts;
use super::frames;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that may wait for a peer that does not read; then it is given up.
const MOST_WAITING: usize = 256 << 20;

/// Bytes beyond which answers that anybody may ask for are not added to those that wait.
const MUCH_WAITING: usize = 1 << 20;
/// A front end wants everything, or a few topics.
const MOST_TOPICS: usize = 64;
const LONGEST_TOPIC: usize = 255;

/// Somebody at the other end of a socket.
#[derive(Clone)]
pub struct Peer {
    pub identity: Vec<u8>,
    stream: Arc<TcpStream>,
    queue: Sender<Arc<Vec<u8>>>,
    waiting: Arc<AtomicUsize>,
    /// Beginnings of the topics that a subscriber wants.
    topics: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Peer {
    /// A peer with its writing thread.
    ///
    /// # Errors
    /// A connection that is gone already; no thread to be had.
    pub(super) fn new(identity: Vec<u8>, stream: TcpStream) -> std::io::Result<Self> {
        let writing = stream.try_clone()?;
        let (queue, items) = channel();
        let waiting: Arc<AtomicUsize> = Arc::default();
        let left = waiting.clone();
        std::thread::Builder::new()
            .name("kernel-write".into())
            .spawn(move || write(writing, &items, &left))?;
        Ok(Self {
            identity,
            stream: Arc::new(stream),
            queue,
            waiting,
            topics: Arc::default(),
        })
    }

    /// Sends a message, now or as soon as the peer reads.
    pub fn send(&self, parts: &[Vec<u8>]) {
        self.send_bytes(Arc::new(frames::message(parts)));
    }

    /// Answers what needs no signature, unless the peer asks and does not read.
    pub fn answer(&self, parts: &[Vec<u8>]) {
        self.answer_bytes(frames::message(parts));
    }

    /// The same with what was made into bytes already.
    pub(super) fn answer_bytes(&self, bytes: Vec<u8>) {
        if self.waiting.load(Ordering::SeqCst) <= MUCH_WAITING {
            self.send_bytes(Arc::new(bytes));
        }
    }

    /// Sends what was made into bytes already.
    pub(super) fn send_bytes(&self, bytes: Arc<Vec<u8>>) {
        let before = self.waiting.fetch_add(bytes.len(), Ordering::SeqCst);
        if before > MOST_WAITING || self.queue.send(bytes).is_err() {
            self.leave();
        }
    }

    /// Whether everything was handed to the system.
    pub(super) fn is_served(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    /// Ends the connection; its reading thread forgets it.
    pub(super) fn leave(&self) {
        // It may be gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Whether both are the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stream, &other.stream)
    }

    /// Takes up a subscription or its end: a sign and the beginning of a topic. The topic, if it is
    /// a new one. A peer that wants too many must leave.
    pub fn subscribe(&self, message: &Parts) -> Option<Vec<u8>> {
        let (sign, topic) = message.first()?.split_first()?;
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        match sign {
            1 if topics.iter().any(|known| known == topic) => None,
            1 if topics.len() == MOST_TOPICS || topic.len() > LONGEST_TOPIC => {
                self.leave();
                None
            }
            1 => {
                topics.push(topic.to_vec());
                Some(topic.to_vec())
            }
            _ => {
                let known = topics.iter().position(|known| known == topic);
                known.map(|at| topics.swap_remove(at));
                None
            }
        }
    }

    /// Whether a topic was subscribed to.
    pub(super) fn wants(&self, topic: &[u8]) -> bool {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.iter().any(|start| topic.starts_with(start))
    }
}

fn write(mut stream: TcpStream, items: &Receiver<Arc<Vec<u8>>>, waiting: &AtomicUsize) {
    while let Ok(bytes) = items.recv() {
        let written = stream.write_all(&bytes);
        waiting.fetch_sub(bytes.len(), Ordering::SeqCst);
        if written.is_err() {
            let _ = stream.shutdown(Shutdown::Both);
            // Nobody will read what still waits.
            waiting.store(0, Ordering::SeqCst);
            return;
        }
    }
}
