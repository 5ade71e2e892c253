//! The connection file: where a front end wants its kernel to listen, and the key they share.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::Path;

/// What a connection file says.
#[derive(Clone, Deserialize)]
pub struct Connection {
    pub ip: String,
    pub transport: String,
    pub shell_port: u16,
    pub control_port: u16,
    pub stdin_port: u16,
    pub iopub_port: u16,
    pub hb_port: u16,
    /// Empty where nothing is to be signed.
    #[serde(default)]
    pub key: String,
    #[serde(default = "sha256")]
    pub signature_scheme: String,
}

fn sha256() -> String {
    "hmac-sha256".into()
}

impl Connection {
    /// Reads a connection file.
    ///
    /// # Errors
    /// A file that cannot be read, is not a connection file, or asks for what is not done here.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let found: Self = serde_json::from_str(&text)
            .map_err(|error| Error::file(path, format!("not a connection file: {error}")))?;
        if found.transport != "tcp" {
            let reason = format!("transport `{}`; only tcp is spoken here", found.transport);
            return Err(Error::file(path, reason));
        }
        if found.signature_scheme != sha256() {
            let scheme = &found.signature_scheme;
            let reason = format!("signature scheme `{scheme}`; only hmac-sha256 is known here");
            return Err(Error::file(path, reason));
        }
        Ok(found)
    }

    /// Where a socket is to be bound.
    pub fn address(&self, port: u16) -> (&str, u16) {
        (&self.ip, port)
    }
}
