//! Servers that mean harm, and secrets that they must not see.

use super::repository::{COMMIT, Repository};
use super::server::{Asked, Reply};
use super::{Hub, ID, MAIN, Place, Quiet};

#[test]
fn a_file_outside_of_its_folder_is_refused() {
    for name in [
        "../../x.safetensors",
        "/etc/x.safetensors",
        "a/../../../x.json",
        "..",
        "",
    ] {
        let files = [
            ("config.json", "{}"),
            ("model.safetensors", "w"),
            (name, "x"),
        ];
        let place = Place::of(Repository::model(ID).with(&files));
        let error = place.message();
        assert!(
            error.contains("which would lie outside its folder"),
            "{error}"
        );
        assert_eq!(place.server.asked().len(), 1);
        assert!(!place.path("").exists());
    }
}

#[test]
fn an_etag_that_is_a_path_is_refused() {
    let repository = Repository::model(ID);
    let place = Place::new(move |asked| match asked.method.as_str() {
        "HEAD" => Reply::new(200, "x").with("ETag", "\"../../../x\""),
        _ => repository.answer(asked),
    });
    let error = place.message();
    assert!(error.contains("no usable etag of `config.json`"), "{error}");
}

#[test]
fn an_index_that_names_paths_is_refused() {
    let index = r#"{"weight_map": {"a": "../../../etc/x.safetensors"}}"#;
    let repository = Repository::model(ID).with(&[
        ("config.json", "{}"),
        ("model.safetensors.index.json", index),
        ("other.safetensors", "w"),
    ]);
    let error = Place::of(repository).message();
    assert!(
        error.contains("which the repository does not have"),
        "{error}"
    );
}

#[test]
fn the_token_is_for_the_endpoint_only() {
    // The same server by another name is another host.
    let other = Place::of(Repository::model(ID));
    let mut repository = Repository::model(ID);
    repository.elsewhere = Some(format!("http://localhost:{}", other.server.port));
    let place = Place::of(repository);
    let hub = Hub {
        token: Some("hf_secret".into()),
        ..place.hub()
    };
    hub.snapshot(ID, MAIN, &mut Quiet).unwrap();
    let token = |asked: &Asked| asked.header("authorization").map(String::from);
    let asked = place.server.asked();
    assert!(
        asked
            .iter()
            .all(|a| token(a).as_deref() == Some("Bearer hf_secret"))
    );
    assert_eq!(other.server.lines(), ["GET /elsewhere/model.safetensors"]);
    assert_eq!(token(&other.server.asked()[0]), None);
}

#[test]
fn a_refusal_by_another_host_is_not_a_matter_of_licences() {
    let other = Place::new(|_| Reply::new(403, "<Error>"));
    let mut repository = Repository::model(ID);
    repository.elsewhere = Some(format!("http://localhost:{}", other.server.port));
    let place = Place::new(move |asked| {
        let mut reply = repository.answer(asked);
        for (name, value) in &mut reply.headers {
            if *name == "Location" {
                value.push_str("?Signature=secret");
            }
        }
        reply
    });
    let error = place.message();
    assert!(
        error.contains("where the hub keeps a file, refuses (403)"),
        "{error}"
    );
    assert!(
        !error.contains("secret") && !error.contains("licence"),
        "{error}"
    );
}

#[test]
fn a_renamed_repository_is_followed_with_the_token() {
    let repository = Repository::model("New/Name");
    let place = Place::new(move |asked| match asked.path.contains(ID) {
        true => Reply::new(307, "").with("Location", asked.path.replace(ID, "New/Name")),
        false => repository.answer(asked),
    });
    let hub = Hub {
        token: Some("hf_secret".into()),
        ..place.hub()
    };
    let snapshot = hub.snapshot(ID, MAIN, &mut Quiet).unwrap();
    assert_eq!(snapshot, place.path(&format!("snapshots/{COMMIT}")));
    let asked = place.server.asked();
    assert!(asked.iter().all(|a| a.header("authorization").is_some()));
}
