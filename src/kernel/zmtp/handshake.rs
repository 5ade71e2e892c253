//! The beginning of a connection: both sides greet and say what kind of socket they are.

use super::frames::{self, Room, SMALLEST, Traffic, bytes, malformed};
use std::io::{Read, Result, Write};
use std::sync::atomic::AtomicUsize;

/// Signature, version 3.0, the mechanism `NULL`; a server in that it binds changes nothing.
const GREETING: [u8; 64] = {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    let mechanism = *b"NULL";
    let mut i = 0;
    while i < mechanism.len() {
        greeting[12 + i] = mechanism[i];
        i += 1;
    }
    greeting
};

/// A longer identity is none in ZeroMQ either.
const LONGEST: usize = 255;

/// Greets a peer; the identity that it gives itself, if it does.
///
/// # Errors
/// A peer of another protocol, an older version, or with a password.
pub fn shake(stream: &mut (impl Read + Write), socket_type: &str) -> Result<Option<Vec<u8>>> {
    stream.write_all(&GREETING)?;
    let theirs: [u8; 64] = bytes(stream)?;
    if theirs[0] != 0xff || theirs[9] & 1 == 0 {
        return Err(malformed("bytes that are not ZeroMQ's"));
    }
    if theirs[10] < 3 || theirs[12..32] != GREETING[12..32] {
        return Err(malformed(
            "a version or a mechanism of ZeroMQ that is not spoken here",
        ));
    }
    let mut properties = Vec::new();
    property(&mut properties, "Socket-Type", socket_type.as_bytes());
    stream.write_all(&frames::command_bytes("READY", &properties))?;
    match frames::read(stream, &mut Room::new(SMALLEST, &AtomicUsize::new(0)))? {
        Traffic::Command { name, body } if name == b"READY" => identity(&body),
        _ => Err(malformed("no READY after the greeting")),
    }
}

fn property(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend(u8::try_from(name.len()));
    out.extend(name.bytes());
    out.extend((value.len() as u32).to_be_bytes());
    out.extend(value);
}

/// The property `Identity`, unless it is empty.
fn identity(mut properties: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut found = None;
    while !properties.is_empty() {
        let [length] = bytes(&mut properties)?;
        let name = split(&mut properties, usize::from(length))?;
        let length = u32::from_be_bytes(bytes(&mut properties)?);
        let value = split(&mut properties, length as usize)?;
        if name.eq_ignore_ascii_case(b"Identity") && !value.is_empty() {
            // Names that begin with 0 are given, not chosen.
            if value.len() > LONGEST || value[0] == 0 {
                return Err(malformed(
                    "an identity that is too long or not the peer's to choose",
                ));
            }
            found = Some(value.to_vec());
        }
    }
    Ok(found)
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (value, after) = rest
        .split_at_checked(length)
        .ok_or_else(|| malformed("half a property"))?;
    *rest = after;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn a_peer_may_name_itself() {
        let mut properties = Vec::new();
        property(&mut properties, "Socket-Type", b"DEALER");
        assert_eq!(identity(&properties).unwrap(), None);
        property(&mut properties, "identity", b"me");
        assert_eq!(identity(&properties).unwrap(), Some(b"me".to_vec()));
        assert!(identity(&properties[..properties.len() - 1]).is_err());
        for bad in [&b"\0me"[..], &[b'x'; 256]] {
            let mut properties = Vec::new();
            property(&mut properties, "Identity", bad);
            assert!(identity(&properties).is_err());
        }
    }

    #[test]
    fn strangers_are_told_from_peers() {
        let mut http = Cursor::new([b'G'; 200].to_vec());
        http.set_position(0);
        assert!(shake(&mut http, "ROUTER").is_err());
    }
}
