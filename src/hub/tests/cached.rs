//! What is downloaded, where it lies, and when nobody is asked.

use super::repository::{COMMIT, Repository, hex};
use super::{Download, Hub, ID, MAIN, Place, Quiet, Told, Wanted, names};
use ring::digest::{SHA256, digest};
use std::fs;

#[test]
fn a_model_is_downloaded_once() {
    let repository = Repository::model(ID);
    let place = Place::of(repository.clone());
    let mut told = Told::default();
    let snapshot = place.hub().snapshot(ID, MAIN, &mut told).unwrap();
    // 1. What is wanted is there, and nothing else.
    let wanted = [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names(&snapshot), wanted);
    for name in wanted {
        assert_eq!(
            fs::read(snapshot.join(name)).unwrap(),
            repository.content(name)
        );
    }
    // 2. It lies as Python lays it.
    assert_eq!(snapshot, place.path(&format!("snapshots/{COMMIT}")));
    assert_eq!(fs::read_to_string(place.path("refs/main")).unwrap(), COMMIT);
    let etag = hex(digest(&SHA256, repository.content("model.safetensors")).as_ref());
    let link = fs::read_link(snapshot.join("model.safetensors")).unwrap();
    assert_eq!(link.to_str(), Some(format!("../../blobs/{etag}").as_str()));
    assert_eq!(place.blobs().len(), wanted.len());
    // 3. The weights came last, and the observer heard of all.
    assert_eq!(told.0[0..3], ["config.json 0/23", "+23", "end"]);
    assert_eq!(
        told.0[told.0.len() - 3..],
        ["model.safetensors 0/1000000", "+1000000", "end"]
    );
    // 4. The second time nobody is asked, offline or not, by branch or by commit.
    let asked = place.server.asked().len();
    for (offline, revision) in [(false, MAIN), (true, MAIN), (false, COMMIT), (true, COMMIT)] {
        let hub = Hub {
            offline,
            ..place.hub()
        };
        assert_eq!(hub.snapshot(ID, revision, &mut Quiet).unwrap(), snapshot);
    }
    assert_eq!(place.server.asked().len(), asked);
}

#[test]
fn what_is_missing_is_fetched_and_nothing_else() {
    let place = Place::of(Repository::model(ID));
    let snapshot = place.snapshot().unwrap();
    let before = place.server.lines().len();
    // A link whose content somebody removed is not there either.
    fs::remove_file(snapshot.join("tokenizer.json").canonicalize().unwrap()).unwrap();
    place.snapshot().unwrap();
    let file = format!("/{ID}/resolve/{COMMIT}/tokenizer.json");
    assert_eq!(
        place.server.lines()[before..],
        [
            format!("GET /api/models/{ID}/revision/main"),
            format!("HEAD {file}"),
            format!("GET {file}"),
        ]
    );
    assert!(snapshot.join("tokenizer.json").is_file());
}

#[test]
fn shards_are_those_of_the_index() {
    let index = r#"{"weight_map": {"a": "model-00001-of-00002.safetensors",
                                  "b": "model-00002-of-00002.safetensors"}}"#;
    let repository = Repository::model(ID).with(&[
        ("config.json", "{}"),
        ("consolidated.safetensors", "the same again"),
        ("model-00001-of-00002.safetensors", "one"),
        ("model-00002-of-00002.safetensors", "two"),
        ("model.safetensors.index.json", index),
    ]);
    let place = Place::of(repository);
    let snapshot = place.snapshot().unwrap();
    assert_eq!(
        names(&snapshot),
        [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ]
    );
    // That there is no tokenizer is known now; nobody is asked for it again.
    let asked = place.server.asked().len();
    place.snapshot().unwrap();
    assert_eq!(place.server.asked().len(), asked);
    // A shard that is gone is asked for.
    fs::remove_file(snapshot.join("model-00002-of-00002.safetensors")).unwrap();
    place.snapshot().unwrap();
    assert!(place.server.asked().len() > asked);
}

#[test]
fn a_revision_is_what_it_says() {
    let place = Place::of(Repository::model(ID));
    let hub = place.hub();
    hub.snapshot(ID, "refs/pr/1", &mut Quiet).unwrap();
    let first = &place.server.lines()[0];
    assert_eq!(
        first,
        &format!("GET /api/models/{ID}/revision/refs%2Fpr%2F1")
    );
    assert_eq!(names(&place.path("refs/refs/pr")), ["1"]);
    let error = hub.snapshot(ID, "../main", &mut Quiet).unwrap_err();
    assert!(error.to_string().starts_with("revision: found"), "{error}");
    let error = hub.snapshot("gpt2", MAIN, &mut Quiet).unwrap_err();
    assert!(error.to_string().contains("org/name"), "{error}");
}

#[test]
fn two_at_once_download_once() {
    let place = Place::of(Repository::model(ID));
    std::thread::scope(|scope| {
        let one = scope.spawn(|| place.snapshot().unwrap());
        let two = scope.spawn(|| place.snapshot().unwrap());
        assert_eq!(one.join().unwrap(), two.join().unwrap());
    });
    let lines = place.server.lines();
    let weights = lines.iter().filter(|l| l.starts_with("GET /elsewhere/"));
    assert_eq!(weights.count(), 1, "{lines:?}");
    assert_eq!(place.blobs().len(), 4);
}

#[test]
fn a_model_without_a_tokenizer_works_without_a_network() {
    let place = Place::of(Repository::model(ID));
    let snapshot = place.snapshot().unwrap();
    fs::remove_file(snapshot.join("tokenizer.json")).unwrap();
    let hub = Hub {
        endpoint: Some(super::refused::nobody()),
        ..place.hub()
    };
    assert_eq!(hub.snapshot(ID, MAIN, &mut Quiet).unwrap(), snapshot);
}

#[test]
fn quiet_watches_nothing() {
    Quiet.start("a", 1, 0);
    Quiet.advance(1);
    Quiet.end();
}

#[test]
fn a_tokenizer_alone_needs_no_weights() {
    let place = Place::of(Repository::model(ID));
    let mut hub = place.hub();
    let obtain = |hub: &Hub, wanted| hub.obtain(ID, MAIN, wanted, &mut Quiet);
    let snapshot = obtain(&hub, Wanted::Tokenizer).unwrap();
    let texts = ["config.json", "tokenizer.json", "tokenizer_config.json"];
    assert_eq!(names(&snapshot), texts);
    // It is not asked for again; the model's weights are still to come.
    let asked = place.server.asked().len();
    hub.offline = true;
    assert_eq!(obtain(&hub, Wanted::Tokenizer).unwrap(), snapshot);
    assert!(obtain(&hub, Wanted::Model).is_err());
    assert_eq!(place.server.asked().len(), asked);
    hub.offline = false;
    assert_eq!(obtain(&hub, Wanted::Model).unwrap(), snapshot);
    assert!(snapshot.join("model.safetensors").is_file());
}
