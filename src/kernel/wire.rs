//! Messages of the Jupyter protocol and their signatures.

use super::zmtp::Parts;
use jiff::Timestamp;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// The version of the protocol that is spoken.
pub const PROTOCOL: &str = "5.4";

const DELIMITER: &[u8] = b"<IDS|MSG>";

/// A message that came in.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who is to get the answer.
    pub identities: Parts,
    pub header: Value,
    pub content: Value,
}

impl Message {
    /// The kind of message, such as `execute_request`.
    pub fn kind(&self) -> &str {
        self.header["msg_type"].as_str().unwrap_or_default()
    }

    /// A flag of the content, or what it is where the sender does not say.
    pub fn flag(&self, name: &str, otherwise: bool) -> bool {
        self.content[name].as_bool().unwrap_or(otherwise)
    }

    /// A text of the content; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.content[name].as_str().unwrap_or_default()
    }
}

/// Reads, signs and numbers messages.
pub struct Wire {
    key: Option<hmac::Key>,
    session: String,
    sent: AtomicU64,
}

impl Wire {
    /// A new session with a key; an empty one signs and checks nothing.
    pub fn new(key: &str) -> Self {
        let mut random = [0; 16];
        // Only a name: if the system has no randomness, the time is as good.
        if SystemRandom::new().fill(&mut random).is_err() {
            random = Timestamp::now().as_nanosecond().to_be_bytes();
        }
        Self {
            key: (!key.is_empty()).then(|| hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())),
            session: hex(&random),
            sent: AtomicU64::new(0),
        }
    }

    /// The name of this session, which no other has.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The message in parts that came over a socket, or why there is none.
    pub fn read(&self, mut parts: Parts) -> Result<Message, String> {
        let delimiter = parts.iter().position(|part| part == DELIMITER);
        let mut signed = match delimiter {
            Some(at) => parts.split_off(at),
            None => return Err("a message without a delimiter".into()),
        };
        // Binary buffers may follow; they are not signed, and nothing here reads them.
        let [_, signature, header, parent, metadata, content, ..] = signed.as_mut_slice() else {
            return Err("a message with parts missing".into());
        };
        let body = [&*header, &*parent, &*metadata, &*content];
        if !self.is_ours(signature, body) {
            return Err("a message with a wrong signature".into());
        }
        let parse = |part: &[u8]| -> Result<Value, String> {
            let value: Value = serde_json::from_slice(part).map_err(|e| e.to_string())?;
            match value.is_object() {
                true => Ok(value),
                false => Err("a part that is not an object".into()),
            }
        };
        let header = parse(header)?;
        if !header["msg_id"].is_string() || !header["msg_type"].is_string() {
            return Err("a header without msg_id and msg_type".into());
        }
        Ok(Message {
            identities: parts,
            header,
            content: parse(content)?,
        })
    }

    /// A message as parts, for whom, in answer to what.
    pub fn write(&self, to: &Parts, kind: &str, parent: &Value, content: &Value) -> Parts {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let header = json!({
            "msg_id": format!("{}_{number}", self.session),
            "session": self.session,
            "username": "kernel",
            // Python reads six decimals, and no other number of them in its older versions.
            "date": format!("{:.6}", Timestamp::now()),
            "msg_type": kind,
            "version": PROTOCOL,
        });
        let parent = match parent {
            Value::Null => &Value::Object(Map::new()),
            parent => parent,
        };
        let body = [&header, parent, &json!({}), content].map(|part| part.to_string().into_bytes());
        let mut parts = to.clone();
        parts.push(DELIMITER.to_vec());
        parts.push(self.sign(body.each_ref()).into_bytes());
        parts.extend(body);
        parts
    }

    fn sign(&self, body: [&Vec<u8>; 4]) -> String {
        let Some(key) = &self.key else {
            return String::new();
        };
        let mut context = hmac::Context::with_key(key);
        body.iter().for_each(|part| context.update(part));
        hex(context.sign().as_ref())
    }

    /// Whether the signature is that of the body, in a time that does not tell where it differs.
    fn is_ours(&self, signature: &[u8], body: [&Vec<u8>; 4]) -> bool {
        let Some(key) = &self.key else {
            return true;
        };
        let text = std::str::from_utf8(signature).unwrap_or_default();
        let pairs = text.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        let tag: Option<Vec<u8>> = pairs.collect();
        tag.is_some_and(|tag| hmac::verify(key, &body.map(Vec::as_slice).concat(), &tag).is_ok())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(wire: &Wire) -> Parts {
        wire.write(
            &vec![b"me".to_vec()],
            "execute_request",
            &Value::Null,
            &json!({"code": "1", "silent": true}),
        )
    }

    #[test]
    fn what_is_written_is_read() {
        let wire = Wire::new("secret");
        let message = wire.read(request(&wire)).unwrap();
        assert_eq!(message.kind(), "execute_request");
        assert_eq!(message.identities, [b"me"]);
        assert_eq!(message.text("code"), "1");
        assert!(message.flag("silent", false) && message.flag("store_history", true));
    }

    #[test]
    fn what_somebody_else_wrote_is_refused() {
        let wire = Wire::new("secret");
        for change in 2..7 {
            let mut parts = request(&wire);
            parts[change][0] ^= 1;
            assert!(wire.read(parts).is_err(), "part {change}");
        }
        let parts = request(&Wire::new("another"));
        assert!(wire.read(parts).is_err());
        let parts = request(&Wire::new(""));
        assert!(wire.read(parts).is_err());
        for length in 0..7 {
            let parts = request(&wire)[..length].to_vec();
            assert!(wire.read(parts).is_err(), "{length} parts");
        }
    }

    #[test]
    fn without_a_key_everything_is_ours() {
        let wire = Wire::new("");
        assert!(wire.read(request(&Wire::new("any"))).is_ok());
        let mut parts = request(&wire);
        parts[3] = b"[]".to_vec();
        assert!(wire.read(parts).is_err());
    }
}
