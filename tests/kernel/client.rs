//! As much of a Jupyter client as the tests need, written apart from the kernel.

use ring::hmac;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KEY: &str = "the key of a test";
const PATIENCE: Duration = Duration::from_secs(120);

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A kernel that runs, and connections to it.
pub struct Kernel {
    child: Running,
    key: String,
    pub ports: Vec<u16>,
    pub shell: Connection,
    pub control: Connection,
    iopub: Connection,
    sent: u64,
    _folder: TempDir,
}

/// What came of a cell.
#[derive(Debug, Default)]
pub struct Answer {
    pub reply: Value,
    /// Kinds and contents of what was published, without states.
    pub published: Vec<(String, Value)>,
}

impl Answer {
    /// The text of a cell's value.
    pub fn value(&self) -> Option<&str> {
        let found = self
            .published
            .iter()
            .find(|(kind, _)| kind == "execute_result");
        found.and_then(|(_, content)| content["data"]["text/plain"].as_str())
    }

    /// What was printed.
    pub fn text(&self) -> String {
        let streams = self
            .published
            .iter()
            .filter(|(kind, content)| kind == "stream" && content["name"] == "stdout");
        let text = streams.map(|(_, content)| content["text"].as_str().unwrap());
        text.collect()
    }

    /// The error as the prompt shows it.
    pub fn error(&self) -> String {
        let lines = self.reply["traceback"].as_array().unwrap().iter();
        let lines: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
        let mut text = lines.join("\n");
        while let Some(start) = text.find('\x1b') {
            let end = start + text[start..].find('m').unwrap();
            text.replace_range(start..=end, "");
        }
        text
    }
}

impl Kernel {
    /// Starts a kernel, as Jupyter does. Another program may take a port before the kernel does.
    pub fn start() -> Self {
        (0..3).find_map(|_| Self::try_start()).expect("a kernel")
    }

    fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let listeners: Vec<TcpListener> = (0..5)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let port = |l: &TcpListener| l.local_addr().unwrap().port();
        let ports: Vec<u16> = listeners.iter().map(port).collect();
        drop(listeners);
        let file = folder.path().join("connection.json");
        let key = format!("{KEY}, {}", folder.path().display());
        let connection = json!({
            "ip": "127.0.0.1", "transport": "tcp", "key": key, "signature_scheme": "hmac-sha256",
            "shell_port": ports[0], "control_port": ports[1], "iopub_port": ports[2],
            "stdin_port": ports[3], "hb_port": ports[4],
        });
        std::fs::write(&file, connection.to_string()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_mlx-repl"))
            .args(["kernel", "run", "-f"])
            .arg(&file)
            .current_dir(root())
            .env("JPY_PARENT_PID", std::process::id().to_string())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut child = Running(child);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", ports[4])).is_err() {
            if child.0.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(start.elapsed() < PATIENCE, "the kernel does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut iopub = Connection::open(ports[2], "SUB");
        iopub.send(&[b"\x01".to_vec()]);
        let welcome = iopub.receive();
        assert!(welcome.iter().any(|part| find(part, b"iopub_welcome")));
        Some(Self {
            child,
            key,
            shell: Connection::open(ports[0], "DEALER"),
            control: Connection::open(ports[1], "DEALER"),
            iopub,
            ports,
            sent: 0,
            _folder: folder,
        })
    }

    /// Sends a request on the shell socket; its number.
    pub fn request(&mut self, kind: &str, content: &Value) -> String {
        let key = self.key.clone();
        let (id, parts) = self.message(kind, content, &key);
        self.shell.send(&parts);
        id
    }

    /// Sends a request on the control socket, and gives the answer.
    pub fn command(&mut self, kind: &str, content: &Value) -> Value {
        let key = self.key.clone();
        let (id, parts) = self.message(kind, content, &key);
        self.control.send(&parts);
        let (parent, _, content) = read(&self.control.receive(), &self.key);
        assert_eq!(parent, id);
        content
    }

    /// A signed message.
    pub fn message(&mut self, kind: &str, content: &Value, key: &str) -> (String, Vec<Vec<u8>>) {
        self.sent += 1;
        let id = format!("message-{}", self.sent);
        let header = json!({"msg_id": id, "msg_type": kind, "session": "s", "username": "u",
                            "date": "2026-01-01T00:00:00Z", "version": "5.4"});
        let body = [&header, &json!({}), &json!({}), content];
        let body = body.map(|part| part.to_string().into_bytes());
        let mut parts = vec![b"<IDS|MSG>".to_vec(), sign(key, &body).into_bytes()];
        parts.extend(body);
        (id, parts)
    }

    /// Runs a cell.
    pub fn run(&mut self, code: &str) -> Answer {
        let id = self.send_cell(code);
        self.answer(&id)
    }

    /// Sends a cell and waits for nothing.
    pub fn send_cell(&mut self, code: &str) -> String {
        self.send_code(code, false)
    }

    /// The same of a cell that may ask.
    pub fn send_asking_cell(&mut self, code: &str) -> String {
        self.send_code(code, true)
    }

    fn send_code(&mut self, code: &str, may_ask: bool) -> String {
        let content = json!({"code": code, "allow_stdin": may_ask});
        self.request("execute_request", &content)
    }

    /// What comes of a request.
    pub fn answer(&mut self, id: &str) -> Answer {
        let mut answer = Answer::default();
        loop {
            let (parent, kind, content) = read(&self.iopub.receive(), &self.key);
            if parent != id {
                continue;
            }
            match (kind.as_str(), content["execution_state"].as_str()) {
                ("status", Some("idle")) => break,
                ("status", _) => {}
                _ => answer.published.push((kind, content)),
            }
        }
        let (parent, _, content) = read(&self.shell.receive(), &self.key);
        assert_eq!(parent, id);
        answer.reply = content;
        answer
    }

    /// Sends the program a signal.
    pub fn signal(&self, name: &str) {
        let number = self.child.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &number]).status();
        assert!(sent.unwrap().success());
    }

    /// Whether the program ends by itself.
    pub fn ends(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn find(part: &[u8], text: &[u8]) -> bool {
    part.windows(text.len()).any(|window| window == text)
}

fn sign(key: &str, body: &[Vec<u8>]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, &body.concat());
    tag.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What a message answers, its kind and its content; with a signature that holds.
fn read(parts: &[Vec<u8>], key: &str) -> (String, String, Value) {
    let at = parts.iter().position(|part| part == b"<IDS|MSG>").unwrap();
    let body = &parts[at + 2..at + 6];
    assert_eq!(String::from_utf8_lossy(&parts[at + 1]), sign(key, body));
    let parse = |part: &[u8]| -> Value { serde_json::from_slice(part).unwrap() };
    let (header, parent) = (parse(&body[0]), parse(&body[1]));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    (
        text(&parent["msg_id"]),
        text(&header["msg_type"]),
        parse(&body[3]),
    )
}

/// A connection of ZeroMQ's protocol.
pub struct Connection {
    pub stream: TcpStream,
}

impl Connection {
    /// Connects, as soon as somebody listens.
    pub fn open(port: u16, kind: &str) -> Self {
        let start = Instant::now();
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut greeting = [0; 64];
        (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
        greeting[12..16].copy_from_slice(b"NULL");
        stream.write_all(&greeting).unwrap();
        stream.read_exact(&mut greeting).unwrap();
        let mut ready = b"\x05READY\x0bSocket-Type".to_vec();
        ready.extend((kind.len() as u32).to_be_bytes());
        ready.extend(kind.bytes());
        if kind == "DEALER" {
            // One name for all connections of this client: a question finds who sent the cell.
            ready.extend(b"\x08Identity\0\0\0\x06client");
        }
        stream.write_all(&[4, ready.len() as u8]).unwrap();
        stream.write_all(&ready).unwrap();
        let mut connection = Self { stream };
        connection.frame();
        connection
    }

    pub fn send(&mut self, parts: &[Vec<u8>]) {
        for (i, part) in parts.iter().enumerate() {
            let more = u8::from(i + 1 < parts.len());
            self.stream.write_all(&[more | 2]).unwrap();
            let length = (part.len() as u64).to_be_bytes();
            self.stream.write_all(&length).unwrap();
            self.stream.write_all(part).unwrap();
        }
    }

    pub fn receive(&mut self) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        loop {
            let (flags, part) = self.frame();
            parts.push(part);
            if flags & 1 == 0 {
                return parts;
            }
        }
    }

    fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).unwrap();
        let mut length = u64::from(head[1]);
        if head[0] & 2 != 0 {
            let mut bytes = [0; 8];
            bytes[0] = head[1];
            self.stream.read_exact(&mut bytes[1..]).unwrap();
            length = u64::from_be_bytes(bytes);
        }
        let mut part = vec![0; length as usize];
        self.stream.read_exact(&mut part).unwrap();
        (head[0], part)
    }
}
