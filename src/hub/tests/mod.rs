//! The room against a hub on this machine.

mod cached;
mod hostile;
mod refused;
pub mod repository;
mod resumed;
pub mod server;

use super::{Download, Hub, MAIN, Quiet, Wanted};
use crate::error::Result;
use repository::Repository;
use server::{Asked, Reply, Server};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const ID: &str = "Org/Model-1.0";

impl Repository {
    /// The same with other files.
    fn with(mut self, files: &[(&'static str, &str)]) -> Self {
        let bytes = |(name, text): &(&'static str, &str)| (*name, text.as_bytes().to_vec());
        self.files = files.iter().map(bytes).collect();
        self
    }
}

impl Server {
    /// Method and path of what was asked so far, in a form that is short to compare.
    fn lines(&self) -> Vec<String> {
        let line = |asked: &Asked| format!("{} {}", asked.method, asked.path);
        self.asked().iter().map(line).collect()
    }
}

/// A hub's server, and a cache that is empty at first.
struct Place {
    server: Server,
    cache: tempfile::TempDir,
}

impl Place {
    /// A server that answers for a repository.
    fn of(repository: Repository) -> Self {
        Self::new(move |asked| repository.answer(asked))
    }

    fn new(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            server: Server::start(answer),
            cache: tempfile::tempdir().unwrap(),
        }
    }

    fn hub(&self) -> Hub {
        Hub {
            endpoint: Some(self.server.address()),
            cache: self.cache.path().to_path_buf(),
            token: None,
            offline: false,
            certificates: None,
            tries: 2,
        }
    }

    fn snapshot(&self) -> Result<PathBuf> {
        self.hub().snapshot(ID, MAIN, &mut Quiet)
    }

    /// What a failing download tells.
    fn message(&self) -> String {
        self.snapshot().unwrap_err().to_string()
    }

    /// A path in the folder of the repository.
    fn path(&self, name: &str) -> PathBuf {
        self.cache.path().join("models--Org--Model-1.0").join(name)
    }

    /// The names of the contents, parts among them.
    fn blobs(&self) -> Vec<String> {
        names(&self.path("blobs"))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Answers true as often as it says.
struct Times(AtomicU32);

impl Times {
    fn new(times: u32) -> Self {
        Self(AtomicU32::new(times))
    }

    fn next(&self) -> bool {
        let less = |times: u32| times.checked_sub(1);
        self.0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_ok()
    }
}

/// Writes down what it is told.
#[derive(Default)]
struct Told(Vec<String>);

impl Download for Told {
    fn start(&mut self, file: &str, total: u64, already: u64) {
        self.0.push(format!("{file} {already}/{total}"));
    }

    fn advance(&mut self, bytes: u64) {
        // How the bytes are cut is the network's affair; their sum is not.
        let last = self.0.last_mut().unwrap();
        let sum: u64 = last.strip_prefix('+').map_or(0, |sum| sum.parse().unwrap());
        match sum {
            0 => self.0.push(format!("+{bytes}")),
            _ => *last = format!("+{}", sum + bytes),
        }
    }

    fn end(&mut self) {
        self.0.push("end".into());
    }
}
