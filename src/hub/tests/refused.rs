//! What a user is told when a model does not come.

use super::repository::{COMMIT, Repository};
use super::server::Reply;
use super::{Hub, ID, MAIN, Place, Quiet};
use std::fs;
use std::net::TcpListener;

/// An address at which nobody listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn refusing(status: u16, code: &'static str) -> Place {
    Place::new(move |_| Reply::new(status, "no").with("X-Error-Code", code))
}

#[test]
fn offline_and_not_in_the_cache() {
    let place = Place::of(Repository::model(ID));
    let hub = Hub {
        offline: true,
        ..place.hub()
    };
    let error = hub.snapshot(ID, MAIN, &mut Quiet).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{ID}: revision `main` is not whole in the cache, {}, and HF_HUB_OFFLINE is set; unset \
             HF_HUB_OFFLINE, or download it on another machine and copy that folder",
            place.path("").display().to_string().trim_end_matches('/')
        )
    );
    assert!(place.server.asked().is_empty());
}

#[test]
fn nobody_answers() {
    let place = Place::of(Repository::model(ID));
    let hub = Hub {
        endpoint: Some(nobody()),
        ..place.hub()
    };
    let error = hub.snapshot(ID, MAIN, &mut Quiet).unwrap_err().to_string();
    assert!(
        error.contains("does not answer (Connection refused"),
        "{error}"
    );
    assert!(
        error.contains("check the network and HF_ENDPOINT"),
        "{error}"
    );
}

#[test]
fn certificates_that_are_none_are_named() {
    let place = Place::of(Repository::model(ID));
    let path = place.cache.path().join("certificates.pem");
    let hub = Hub {
        certificates: Some(path.clone()),
        ..place.hub()
    };
    let told = || hub.snapshot(ID, MAIN, &mut Quiet).unwrap_err().to_string();
    assert!(
        told().contains("SSL_CERT_FILE names it: No such file"),
        "{}",
        told()
    );
    fs::write(path, "nothing").unwrap();
    assert!(told().contains("it holds no certificates"), "{}", told());
    let error = super::super::faults::unreachable(ID, "e", "invalid peer certificate").to_string();
    assert!(error.contains("set SSL_CERT_FILE"), "{error}");
}

#[test]
fn each_refusal_has_its_remedy() {
    for (status, code, token, expected) in [
        (
            401,
            "RepoNotFound",
            false,
            "has no such model, or no revision `main`",
        ),
        (
            401,
            "",
            false,
            "or it is private or gated (401); check the spelling",
        ),
        (401, "", true, "does not know the token (401); set HF_TOKEN"),
        (
            403,
            "GatedRepo",
            false,
            "gated or private (403); accept the licence",
        ),
        (
            403,
            "",
            true,
            "does not let this token read it (403); accept the licence",
        ),
        (
            404,
            "RepoNotFound",
            false,
            "has no such model, or no revision `main` of it (404)",
        ),
        (
            404,
            "RevisionNotFound",
            false,
            "has no revision `main`; check its spelling",
        ),
        (
            404,
            "",
            false,
            "has no such model, or no revision `main` of it (404)",
        ),
        (418, "", false, "the hub refuses (418)"),
        (500, "", false, "does not answer (status 500)"),
    ] {
        let place = refusing(status, code);
        let hub = Hub {
            token: token.then(|| "hf_secret".to_string()),
            ..place.hub()
        };
        let error = hub.snapshot(ID, MAIN, &mut Quiet).unwrap_err().to_string();
        assert!(error.contains(expected), "{status} {code}: {error}");
        assert!(error.starts_with("Org/Model-1.0: ") && !error.contains("hf_secret"));
    }
}

#[test]
fn a_gated_model_is_listed_and_not_given() {
    let repository = Repository::model(ID);
    let place = Place::new(move |asked| match asked.method.as_str() {
        "HEAD" => Reply::new(401, "").with("X-Error-Code", "GatedRepo"),
        _ => repository.answer(asked),
    });
    let error = place.message();
    assert!(
        error.contains("gated or private (401); accept the licence"),
        "{error}"
    );
}

#[test]
fn a_repository_without_safetensors_tells_what_it_has() {
    let repository = Repository::model(ID).with(&[
        ("README.md", ""),
        ("config.json", "{}"),
        ("original/x.safetensors", ""),
        ("pytorch_model.bin", ""),
        ("model-q4.gguf", ""),
    ]);
    let place = Place::of(repository);
    let error = place.message();
    let there = "it has pytorch_model.bin, model-q4.gguf, README.md, config.json, original/";
    assert!(error.contains(there), "{error}");
    assert_eq!(place.server.asked().len(), 1, "nothing is downloaded");
}

#[test]
fn an_endpoint_that_is_no_hub_is_named() {
    let place = Place::new(|_| Reply::new(200, "<html>"));
    assert!(
        place
            .message()
            .contains("does not answer like a hub: expected value")
    );
    let place = Place::new(|_| Reply::new(200, r#"{"sha": "../x", "siblings": []}"#));
    assert!(place.message().contains("its commit is \"../x\""));
    let place = Place::new(|_| Reply::new(307, "").with("Location", "/again"));
    assert!(place.message().contains("it redirects in a circle"));
    let hub = Hub {
        endpoint: Some("hub.local".into()),
        ..place.hub()
    };
    let error = hub.snapshot(ID, MAIN, &mut Quiet).unwrap_err();
    assert!(
        error.to_string().starts_with("HF_ENDPOINT: found"),
        "{error}"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let place = Place::of(Repository::model(ID));
    fs::write(place.path(""), "a file in the way").unwrap_err();
    fs::write(place.cache.path().join("models--Org--Model-1.0"), "").unwrap();
    let error = place.message();
    assert!(error.contains("models--Org--Model-1.0/blobs: "), "{error}");
    assert!(!error.contains(COMMIT), "{error}");
}

#[test]
fn a_full_disk_says_so() {
    let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let path = std::path::Path::new("/cache/blobs/x.part");
    let error = super::super::faults::disk(ID, path, error).to_string();
    assert!(
        error.contains("no space left for /cache/blobs; make room"),
        "{error}"
    );
}
