//! Connections that break, parts that stay, and bytes that are not what they should be.

use super::repository::{Repository, hex};
use super::server::{Asked, Reply};
use super::{ID, MAIN, Place, Quiet, Times, Told};
use ring::digest::{SHA256, digest};
use std::fs;

const WEIGHTS: &str = "model.safetensors";

/// A hub whose weights come in a reply that a function spoils, some times.
fn spoiled(times: u32, spoil: fn(Reply) -> Reply) -> Place {
    let (repository, times) = (Repository::model(ID), Times::new(times));
    let is_weights = |asked: &Asked| asked.path.starts_with("/elsewhere/");
    Place::new(move |asked| match repository.answer(asked) {
        reply if is_weights(asked) && times.next() => spoil(reply),
        reply => reply,
    })
}

fn ranges(place: &Place) -> Vec<Option<String>> {
    let asked = place.server.asked();
    let weights = asked.iter().filter(|a| a.path.starts_with("/elsewhere/"));
    weights
        .map(|a| a.header("range").map(String::from))
        .collect()
}

fn part() -> String {
    let repository = Repository::model(ID);
    hex(digest(&SHA256, repository.content(WEIGHTS)).as_ref()) + ".part"
}

#[test]
fn a_broken_connection_goes_on_where_it_broke() {
    let place = spoiled(1, |reply| Reply {
        cut: Some(400_000),
        ..reply
    });
    let snapshot = place.snapshot().unwrap();
    assert_eq!(ranges(&place), [None, Some("bytes=400000-".into())]);
    let found = fs::read(snapshot.join(WEIGHTS)).unwrap();
    assert_eq!(found, Repository::model(ID).content(WEIGHTS));
    assert_eq!(place.blobs().len(), 4, "no part stays");
}

#[test]
fn tries_that_bring_bytes_do_not_count() {
    // More breaks than the hub has tries.
    let place = spoiled(6, |reply| Reply {
        cut: Some(100_000),
        ..reply
    });
    assert_eq!(place.hub().tries, 2);
    place.snapshot().unwrap();
    assert_eq!(ranges(&place).len(), 7);
}

#[test]
fn other_ranges_than_asked_for_are_not_written() {
    let repository = Repository::model(ID);
    let place = Place::new(move |asked| {
        let mut reply = repository.answer(asked);
        for (name, value) in &mut reply.headers {
            if *name == "Content-Range" {
                *value = "bytes 7-999999/1000000".into();
            }
        }
        match asked.header("range") {
            None if asked.path.starts_with("/elsewhere/") => Reply {
                cut: Some(1000),
                ..reply
            },
            _ => reply,
        }
    });
    let error = place.message();
    assert!(
        error.contains("other bytes of `model.safetensors` than asked for"),
        "{error}"
    );
}

#[test]
fn a_server_that_has_no_such_bytes_is_asked_for_all() {
    let repository = Repository::model(ID);
    let place = Place::new(move |asked| match asked.header("range") {
        Some(_) => Reply::new(416, ""),
        None => repository.answer(asked),
    });
    let blobs = place.path("blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(part()), [7; 500]).unwrap();
    place.snapshot().unwrap();
}

#[test]
fn a_later_try_goes_on_where_an_earlier_one_gave_up() {
    // The first try brings bytes, the next three bring none.
    let place = spoiled(4, |reply| Reply {
        cut: Some(if reply.status == 200 { 300_000 } else { 0 }),
        ..reply
    });
    let error = place.message();
    assert!(
        error.contains("`model.safetensors` broke off after 300000 of 1000000 bytes"),
        "{error}"
    );
    assert!(place.blobs().contains(&part()));
    let mut told = Told::default();
    place.hub().snapshot(ID, MAIN, &mut told).unwrap();
    assert_eq!(
        told.0,
        ["model.safetensors 300000/1000000", "+700000", "end"]
    );
    assert_eq!(ranges(&place).pop(), Some(Some("bytes=300000-".into())));
}

#[test]
fn a_server_without_ranges_starts_again() {
    let repository = Repository::model(ID);
    let place = Place::new(move |asked| {
        let mut asked = asked.clone();
        asked.headers.remove("range");
        repository.answer(&asked)
    });
    let blobs = place.path("blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(part()), [7; 500]).unwrap();
    let mut told = Told::default();
    let snapshot = place.hub().snapshot(ID, MAIN, &mut told).unwrap();
    let starts = &told.0[told.0.len() - 4..];
    assert_eq!(
        starts,
        [
            "model.safetensors 500/1000000",
            "model.safetensors 0/1000000",
            "+1000000",
            "end"
        ]
    );
    let found = fs::read(snapshot.join(WEIGHTS)).unwrap();
    assert_eq!(found, Repository::model(ID).content(WEIGHTS));
}

#[test]
fn a_part_that_is_no_part_of_the_file_is_found_out() {
    let place = Place::of(Repository::model(ID));
    let blobs = place.path("blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(part()), [7; 500]).unwrap();
    let error = place.message();
    assert!(
        error.contains("`model.safetensors` came damaged"),
        "{error}"
    );
    assert!(error.contains("SHA-256"), "{error}");
    // The next try starts with nothing.
    place.snapshot().unwrap();
    assert_eq!(ranges(&place), [Some("bytes=500-".into()), None]);
    // A part that is whole needs no request; one that is too long is none.
    for (length, requests) in [(1_000_000, 2), (1_000_001, 3)] {
        let snapshot = place.snapshot().unwrap();
        let blob = snapshot.join(WEIGHTS).canonicalize().unwrap();
        fs::rename(&blob, blobs.join(part())).unwrap();
        let file = fs::File::options().write(true).open(blobs.join(part()));
        file.unwrap().set_len(length).unwrap();
        place.snapshot().unwrap();
        assert_eq!(ranges(&place).len(), requests);
    }
}

#[test]
fn other_bytes_than_announced_are_not_kept() {
    let changed = |mut reply: Reply| {
        reply.body[5] ^= 1;
        reply
    };
    let longer = |mut reply: Reply| {
        reply.body.push(0);
        reply
    };
    let shorter = |mut reply: Reply| {
        reply.body.pop();
        reply
    };
    for (spoil, expected) in [
        (
            changed as fn(Reply) -> Reply,
            "came damaged: its SHA-256 is",
        ),
        (
            longer,
            "came damaged: at least 1000001 bytes, the hub announced 1000000 bytes",
        ),
    ] {
        let place = spoiled(1, spoil);
        let error = place.message();
        assert!(error.contains(expected), "{error}");
        assert!(!place.blobs().contains(&part()));
        assert!(!place.path("refs/main").exists());
        place.snapshot().unwrap();
    }
    // Too short is as if it had broken off; a server that has no more never ends well.
    let place = spoiled(9, shorter);
    let error = place.message();
    assert!(
        error.contains("broke off after 999999 of 1000000"),
        "{error}"
    );
}

#[test]
fn a_busy_hub_is_asked_again() {
    let place = spoiled(2, |_| Reply::new(503, ""));
    place.hub().snapshot(ID, MAIN, &mut Quiet).unwrap();
    assert_eq!(ranges(&place).len(), 3);
}
