//! Bytes on the wire: a frame is a flag, a length, and so many bytes.

use super::Parts;
use std::io::{Error, ErrorKind, Read, Result};
use std::sync::atomic::{AtomicUsize, Ordering};

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// No message of a notebook is as large as this, and nobody may fill the memory.
pub const LARGEST: u64 = 64 << 20;
/// Heartbeats and subscriptions are shorter.
pub const SMALL: u64 = 64 << 10;
/// What a peer says of itself is shorter still.
pub const SMALLEST: u64 = 4 << 10;
/// Bytes of one socket that were read and not looked at: a signature comes with a whole message.
const MOST_UNREAD: usize = 256 << 20;
/// So many bytes are read before they are counted.
const CHUNK: u64 = 64 << 10;
/// A message of a notebook has fewer than ten parts.
const MOST_PARTS: usize = 1024;

/// What a peer sends.
#[derive(Debug, PartialEq)]
pub enum Traffic {
    Message(Parts),
    Command { name: Vec<u8>, body: Vec<u8> },
}

/// Room for a message until it is done with, out of what a socket has for all its peers.
pub struct Room<'a> {
    most: u64,
    unread: &'a AtomicUsize,
    taken: usize,
}

impl<'a> Room<'a> {
    /// Room for so many bytes at most.
    pub fn new(most: u64, unread: &'a AtomicUsize) -> Self {
        Self {
            most,
            unread,
            taken: 0,
        }
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        self.taken += bytes;
        match self.unread.fetch_add(bytes, Ordering::SeqCst) + bytes > MOST_UNREAD {
            true => Err(malformed("too many unfinished messages")),
            false => Ok(()),
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.unread.fetch_sub(self.taken, Ordering::SeqCst);
    }
}

/// The next message, whole, or the next command.
///
/// # Errors
/// The end of the connection; bytes that are not of this protocol, or too many of them.
pub fn read(from: &mut impl Read, room: &mut Room) -> Result<Traffic> {
    let mut parts = Vec::new();
    let mut left = room.most;
    loop {
        let [flags] = bytes(from)?;
        if flags & !(MORE | LONG | COMMAND) != 0 {
            return Err(malformed("a frame with unknown flags"));
        }
        if flags & COMMAND != 0 && (flags & MORE != 0 || !parts.is_empty()) {
            return Err(malformed("a command inside of a message"));
        }
        let length = match flags & LONG {
            0 => u64::from(bytes::<1>(from)?[0]),
            _ => u64::from_be_bytes(bytes(from)?),
        };
        if length > left || parts.len() == MOST_PARTS {
            return Err(malformed("a message that is too large"));
        }
        left -= length;
        let body = body(from, length, room)?;
        if flags & COMMAND != 0 {
            return command(body);
        }
        parts.push(body);
        if flags & MORE == 0 {
            return Ok(Traffic::Message(parts));
        }
    }
}

/// A message as bytes.
pub fn message(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 9).sum());
    for (i, part) in parts.iter().enumerate() {
        let more = if i + 1 < parts.len() { MORE } else { 0 };
        push(&mut out, more, part);
    }
    out
}

/// A command as bytes.
pub fn command_bytes(name: &str, body: &[u8]) -> Vec<u8> {
    let mut content = vec![u8::try_from(name.len()).unwrap_or(u8::MAX)];
    content.extend(name.bytes().take(usize::from(u8::MAX)));
    content.extend(body);
    let mut out = Vec::new();
    push(&mut out, COMMAND, &content);
    out
}

pub fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// So many bytes, one after another.
pub fn bytes<const N: usize>(from: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The body of a frame. Memory is taken as bytes come, not as they are announced.
fn body(from: &mut impl Read, length: u64, room: &mut Room) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut left = length;
    while left > 0 {
        let read = from.take(left.min(CHUNK)).read_to_end(&mut body)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        room.take(read)?;
        left -= read as u64;
    }
    Ok(body)
}

fn command(body: Vec<u8>) -> Result<Traffic> {
    let (&length, rest) = body
        .split_first()
        .ok_or_else(|| malformed("a command without a name"))?;
    let (name, body) = rest
        .split_at_checked(usize::from(length))
        .ok_or_else(|| malformed("a command with half a name"))?;
    Ok(Traffic::Command {
        name: name.to_vec(),
        body: body.to_vec(),
    })
}

fn push(out: &mut Vec<u8>, flags: u8, body: &[u8]) {
    match u8::try_from(body.len()) {
        Ok(length) => out.extend([flags, length]),
        Err(_) => {
            out.push(flags | LONG);
            out.extend((body.len() as u64).to_be_bytes());
        }
    }
    out.extend(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(from: &mut &[u8]) -> Result<Traffic> {
        super::read(from, &mut Room::new(LARGEST, &AtomicUsize::new(0)))
    }

    #[test]
    fn what_is_written_is_read() {
        let parts = vec![vec![], b"short".to_vec(), vec![7; 300]];
        let wire = message(&parts);
        assert_eq!(wire[..2], [MORE, 0]);
        assert_eq!(read(&mut wire.as_slice()).unwrap(), Traffic::Message(parts));
        let wire = command_bytes("PING", b"\0\0x");
        let Traffic::Command { name, body } = read(&mut wire.as_slice()).unwrap() else {
            panic!("a message");
        };
        assert_eq!((name, body), (b"PING".to_vec(), b"\0\0x".to_vec()));
    }

    #[test]
    fn a_length_is_only_a_claim() {
        let mut wire = vec![LONG];
        wire.extend((1u64 << 60).to_be_bytes());
        let error = read(&mut wire.as_slice()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let mut wire = vec![LONG];
        wire.extend((LARGEST - 1).to_be_bytes());
        let error = read(&mut wire.as_slice()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        let many = [MORE, 0].repeat(MOST_PARTS + 1);
        let error = read(&mut many.as_slice()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn room_is_given_back() {
        let unread = AtomicUsize::new(0);
        let wire = message(&[vec![7; 300]]);
        let mut room = Room::new(SMALL, &unread);
        assert!(super::read(&mut wire.as_slice(), &mut room).is_ok());
        assert_eq!(unread.load(Ordering::SeqCst), 300);
        drop(room);
        assert_eq!(unread.load(Ordering::SeqCst), 0);
        let mut narrow = Room::new(299, &unread);
        assert!(super::read(&mut wire.as_slice(), &mut narrow).is_err());
        let crowded = AtomicUsize::new(MOST_UNREAD - 299);
        let mut room = Room::new(SMALL, &crowded);
        assert!(super::read(&mut wire.as_slice(), &mut room).is_err());
        drop(room);
        assert_eq!(crowded.load(Ordering::SeqCst), MOST_UNREAD - 299);
    }

    #[test]
    fn other_bytes_are_refused() {
        for wire in [
            &b"GET / HTTP/1.1\r\n"[..],
            &[COMMAND, 0],
            &[COMMAND, 1, 9],
            &[COMMAND | MORE, 1, 0],
            &[MORE, 0, COMMAND, 1, 0],
        ] {
            let error = read(&mut &*wire).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{wire:?}");
        }
    }
}
