//! Interrupted downloads. The flag is one for the process, so this test has a process of its own.

#[path = "../src/hub/tests/repository.rs"]
mod repository;
#[path = "../src/hub/tests/server.rs"]
mod server;

use mlx_repl::Error;
use mlx_repl::hub::{Hub, MAIN, Quiet};
use mlx_repl::mlx::interrupt;
use repository::Repository;
use server::{Reply, Server};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ID: &str = "Org/Model";

fn hub(server: &Server, cache: &Path) -> Hub {
    Hub {
        endpoint: Some(server.address()),
        cache: cache.to_path_buf(),
        token: None,
        offline: false,
        certificates: None,
        tries: 2,
    }
}

/// Downloads while another thread raises the flag; how long that took to be heard.
fn interrupted(hub: &Hub) -> Duration {
    let raiser = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(300));
        interrupt::set();
        Instant::now()
    });
    let error = hub.snapshot(ID, MAIN, &mut Quiet).unwrap_err();
    let heard = Instant::now();
    let raised = raiser.join().unwrap();
    interrupt::clear();
    assert!(matches!(error, Error::Interrupted), "{error}");
    heard.saturating_duration_since(raised)
}

#[test]
fn an_interrupt_is_heard_soon_and_leaves_a_part() {
    let silent = Arc::new(AtomicBool::new(true));
    let (hushed, repository) = (silent.clone(), Repository::model(ID));
    let content = repository.content("model.safetensors").to_vec();
    let server = Server::start(move |asked| {
        let reply = repository.answer(asked);
        let is_weights = asked.path.starts_with("/elsewhere/");
        match is_weights && hushed.load(Ordering::SeqCst) {
            true => Reply {
                silence: Duration::from_secs(20),
                ..reply
            },
            false => reply,
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&server, cache.path());
    // 1. A server that falls silent does not keep the user waiting.
    let delay = interrupted(&hub);
    assert!(delay < Duration::from_secs(1), "{delay:?}");
    let blobs = cache.path().join("models--Org--Model/blobs");
    let part = fs::read_dir(&blobs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "part"))
        .unwrap();
    let length = part.metadata().unwrap().len();
    assert_eq!(length, 500_000);
    // 2. Nor does somebody else who downloads the same, and holds the lock that Python would.
    let etag = part.file_stem().unwrap().to_str().unwrap();
    let lock = cache.path().join(".locks/models--Org--Model");
    let lock = fs::File::open(lock.join(format!("{etag}.lock"))).unwrap();
    lock.try_lock().unwrap();
    let delay = interrupted(&hub);
    assert!(delay < Duration::from_secs(1), "{delay:?}");
    drop(lock);
    // 3. The next try goes on where the first one was stopped.
    silent.store(false, Ordering::SeqCst);
    let snapshot = hub.snapshot(ID, MAIN, &mut Quiet).unwrap();
    assert_eq!(
        fs::read(snapshot.join("model.safetensors")).unwrap(),
        content
    );
    let asked = server.asked();
    assert_eq!(asked.last().unwrap().header("range"), Some("bytes=500000-"));
    // 4. A hub that does not answer at all.
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_secs(20));
        Reply::default()
    });
    let other = tempfile::tempdir().unwrap();
    let delay = interrupted(&self::hub(&server, other.path()));
    assert!(delay < Duration::from_secs(1), "{delay:?}");
}
