//! A bound socket and those who have connected to it.

use super::frames::{self, Room, Traffic};
use super::handshake::shake;
use super::peer::Peer;
use super::{Parts, frames::malformed};
use std::io::{BufReader, ErrorKind, Result};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A front end opens one connection to a socket, and a machine has few front ends.
const MOST_PEERS: usize = 256;
/// How long a stranger may take to greet.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than this is not sent back after a `PING`; the protocol says so.
const LONGEST_CONTEXT: usize = 16;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Talks with each peer by its identity.
    Router,
    /// Tells all who have subscribed.
    Publisher,
}

/// A socket; its threads live as long as the program.
#[derive(Clone)]
pub struct Socket {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    role: Role,
    peers: Mutex<Vec<Peer>>,
    /// Connections, those that have not greeted included.
    open: AtomicUsize,
    /// Bytes of a message, at most.
    most: u64,
    /// Bytes of messages that are not read to their end.
    unread: AtomicUsize,
    next: AtomicU32,
    on_message: Box<OnMessage>,
}

/// What is done with a message, on the thread of its peer.
type OnMessage = dyn Fn(&Peer, Parts) + Send + Sync;

impl Socket {
    /// Binds, and calls `on_message` on the thread of the peer that sends, for messages of so many
    /// bytes at most. Subscriptions are messages too.
    ///
    /// # Errors
    /// Those of the operating system: an address that is not ours or in use.
    pub fn bind(
        name: &'static str,
        address: impl ToSocketAddrs,
        role: Role,
        most: u64,
        on_message: impl Fn(&Peer, Parts) + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let shared = Arc::new(Shared {
            name,
            role,
            peers: Mutex::default(),
            open: AtomicUsize::new(0),
            most,
            unread: AtomicUsize::new(0),
            next: AtomicU32::new(1),
            on_message: Box::new(on_message),
        });
        let accepting = shared.clone();
        thread(move || accept(&listener, &accepting))?;
        Ok(Self { shared })
    }

    /// Sends to the peer whose identity is the first part; false if it is not there.
    pub fn send(&self, mut parts: Parts) -> bool {
        if parts.is_empty() {
            return false;
        }
        let identity = parts.remove(0);
        let peers = self.shared.peers();
        let peer = peers.iter().rev().find(|peer| peer.identity == identity);
        peer.map(|peer| peer.send(&parts)).is_some()
    }

    /// Whether the peer of an identity is there.
    pub fn has(&self, identity: &[u8]) -> bool {
        let peers = self.shared.peers();
        peers.iter().any(|peer| peer.identity == identity)
    }

    /// Sends to all who want what begins with the first part.
    pub fn publish(&self, parts: &[Vec<u8>]) {
        let bytes = Arc::new(frames::message(parts));
        let topic = parts.first().map_or(&[][..], Vec::as_slice);
        let peers = self.shared.peers();
        for peer in peers.iter().filter(|peer| peer.wants(topic)) {
            peer.send_bytes(bytes.clone());
        }
    }

    /// Waits until all peers have been sent everything, at most so long.
    pub fn flush(&self, patience: Duration) {
        let start = Instant::now();
        while start.elapsed() < patience && !self.shared.peers().iter().all(Peer::is_served) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Shared {
    fn peers(&self) -> MutexGuard<'_, Vec<Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, what: &dyn std::fmt::Display) {
        tracing::warn!("kernel, {}: {what}; the connection is closed", self.name);
    }
}

/// A connection that counts, until it is forgotten.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::SeqCst);
        Self(shared.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn thread(run: impl FnOnce() + Send + 'static) -> Result<()> {
    let builder = std::thread::Builder::new().name("kernel-read".into());
    builder.spawn(run).map(drop)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let served = stream.and_then(|stream| {
            // Counted here: its thread may start late.
            let open = Open::new(shared);
            if shared.open.load(Ordering::SeqCst) > MOST_PEERS {
                return Err(malformed("too many peers"));
            }
            thread(move || {
                let shared = &open.0;
                let served = serve(stream, shared);
                match served.map_err(|error| (error.kind(), error)) {
                    // The usual ends of a connection.
                    Ok(())
                    | Err((
                        ErrorKind::UnexpectedEof
                        | ErrorKind::ConnectionReset
                        | ErrorKind::BrokenPipe,
                        _,
                    )) => {}
                    Err((_, error)) => shared.warn(&error),
                }
            })
        });
        if let Err(error) = served {
            shared.warn(&error);
            // The system may be out of files: it must not be asked without a pause.
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Greets a peer and hands on its messages, until it leaves.
fn serve(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let socket_type = match shared.role {
        Role::Router => "ROUTER",
        Role::Publisher => "XPUB",
    };
    let identity = shake(&mut stream, socket_type)?;
    stream.set_read_timeout(None)?;
    // Names that begin with 0 are for those who give themselves none.
    let number = shared.next.fetch_add(1, Ordering::Relaxed);
    let identity = identity.unwrap_or_else(|| [&[0], &number.to_be_bytes()[..]].concat());
    let mut from = BufReader::with_capacity(64 << 10, stream.try_clone()?);
    let peer = Peer::new(identity, stream)?;
    shared.peers().push(peer.clone());
    let ended = converse(&mut from, &peer, shared);
    shared.peers().retain(|known| !known.is(&peer));
    peer.leave();
    ended
}

fn converse(from: &mut BufReader<TcpStream>, peer: &Peer, shared: &Shared) -> Result<()> {
    loop {
        // Given back when the message is done with.
        let mut room = Room::new(shared.most, &shared.unread);
        match frames::read(from, &mut room)? {
            Traffic::Message(parts) => (shared.on_message)(peer, parts),
            Traffic::Command { name, body } => match (name.as_slice(), shared.role) {
                // Two bytes say how long to wait; the rest is to be sent back.
                (b"PING", _) => {
                    let context = body.get(2..).unwrap_or_default();
                    if context.len() <= LONGEST_CONTEXT {
                        peer.answer_bytes(frames::command_bytes("PONG", context));
                    }
                }
                (b"SUBSCRIBE", Role::Publisher) => {
                    (shared.on_message)(peer, vec![[&[1], &body[..]].concat()]);
                }
                (b"CANCEL", Role::Publisher) => {
                    (shared.on_message)(peer, vec![[&[0], &body[..]].concat()]);
                }
                // A peer of a later version may say more.
                _ => {}
            },
        }
    }
}
