//! What to tell a user whose model does not come: the reason, and what would help.

use super::folder::Folder;
use super::names;
use crate::error::Error;
use std::io::ErrorKind;
use std::path::Path;

/// How many files of a repository an error names.
const NAMED: usize = 8;

/// Not in the cache, and nobody may be asked.
pub(super) fn offline(id: &str, revision: &str, folder: &Folder) -> Error {
    let path = folder.path().display();
    Error::hub(
        id,
        format!(
            "revision `{revision}` is not whole in the cache, {path}, and HF_HUB_OFFLINE is set"
        ),
        "unset HF_HUB_OFFLINE, or download it on another machine and copy that folder",
    )
}

/// Nobody answers.
pub(super) fn unreachable(id: &str, endpoint: &str, why: &str) -> Error {
    // A network that reads along answers with certificates of its own.
    let remedy = match why.contains("certificate") {
        true => "set SSL_CERT_FILE to the certificates that your network uses",
        false => "check the network and HF_ENDPOINT, or give the folder of a model",
    };
    let reason = format!("the hub at {endpoint} does not answer ({why})");
    Error::hub(id, reason, remedy)
}

/// An answer that is none: what the status and the hub's own error code say.
pub(super) fn refused(id: &str, revision: &str, status: u16, code: &str, token: bool) -> Error {
    let (reason, remedy) = match (status, code) {
        (_, "GatedRepo") | (403, _) if token => (
            format!("the hub does not let this token read it ({status})"),
            "accept the licence on the model's page, or set HF_TOKEN to a token that may read it",
        ),
        (_, "GatedRepo") | (403, _) => (
            format!("the model is gated or private ({status})"),
            "accept the licence on the model's page and set HF_TOKEN to your token",
        ),
        (_, "RevisionNotFound") => (
            format!("the repository has no revision `{revision}`"),
            "check its spelling; `main` is the usual branch",
        ),
        (_, "EntryNotFound") => (
            format!("a file that the repository lists is not there ({status})"),
            "name a commit as the revision, or give the folder of a model",
        ),
        (_, "RepoNotFound") | (404, _) => (
            format!("the hub has no such model, or no revision `{revision}` of it ({status})"),
            "check the spelling; a private model needs HF_TOKEN; a folder of that name is not here \
             either",
        ),
        (401, _) if token => (
            "the hub does not know the token (401)".to_string(),
            "set HF_TOKEN to a token that is valid, or unset it and remove the token file",
        ),
        // The hub hides private models from strangers: for them it is the same as a misspelling.
        (401, _) => (
            "the hub has no such model, or it is private or gated (401)".to_string(),
            "check the spelling; for a private or gated model accept its licence and set HF_TOKEN",
        ),
        _ => (
            format!("the hub refuses ({status})"),
            "try again later, or give the folder of a model",
        ),
    };
    Error::hub(id, reason, remedy)
}

/// A refusal by a host that the hub sent us to, which knows neither licences nor tokens. The query
/// of its address is a key, and not shown.
pub(super) fn elsewhere(id: &str, url: &str, status: u16) -> Error {
    let place = url.split('?').next().unwrap_or(url);
    Error::hub(
        id,
        format!("{place}, where the hub keeps a file, refuses ({status})"),
        "load it again; if that does not help, a firewall or proxy may stand between",
    )
}

/// An answer that does not say what it must.
pub(super) fn strange(id: &str, endpoint: &str, what: impl std::fmt::Display) -> Error {
    Error::hub(
        id,
        format!("{endpoint} does not answer like a hub: {what}"),
        "check HF_ENDPOINT",
    )
}

/// A file name that would leave the cache.
pub(super) fn hostile(id: &str, name: &str) -> Error {
    Error::hub(
        id,
        format!("the repository lists a file named {name:?}, which would lie outside its folder"),
        "nothing was downloaded; do not use this repository",
    )
}

/// No weights that can be read; what there is instead.
pub(super) fn no_weights(id: &str, listing: &[String]) -> Error {
    let is_weights = |name: &&String| {
        let ends = [
            ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack", ".npz",
        ];
        ends.iter().any(|end| name.ends_with(end))
    };
    let (weights, others): (Vec<_>, Vec<_>) = listing.iter().partition(is_weights);
    let names: Vec<String> = weights.into_iter().chain(others).cloned().collect();
    let there = match names.len() {
        0 => "it is empty".to_string(),
        n if n <= NAMED => format!("it has {}", names.join(", ")),
        n => format!(
            "it has {} and {} more",
            names[..NAMED].join(", "),
            n - NAMED
        ),
    };
    Error::hub(
        id,
        format!("the repository has no safetensors at its top; {there}"),
        "choose one with safetensors, or convert the weights and give the folder",
    )
}

/// A file that did not come whole in several tries.
pub(super) fn broken_off(id: &str, file: &str, came: u64, total: u64, why: &str) -> Error {
    Error::hub(
        id,
        format!("`{file}` broke off after {came} of {total} bytes ({why})"),
        "load it again; it goes on from there",
    )
}

/// Bytes that are not those that the hub announced. `found` and `expected` name what was compared.
pub(super) fn damaged(id: &str, file: &str, found: &str, expected: &str) -> Error {
    Error::hub(
        id,
        format!("`{file}` came damaged: {found}, the hub announced {expected}"),
        "what came was removed; load it again",
    )
}

/// The disk refused a part of a file.
pub(super) fn disk(id: &str, path: &Path, error: std::io::Error) -> Error {
    if matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    ) {
        let folder = path.parent().unwrap_or(path).display();
        Error::hub(
            id,
            format!("no space left for {folder}"),
            "make room and load it again, it goes on from there; or set HF_HUB_CACHE to a folder \
             on another disk",
        )
    } else {
        Error::io(path)(error)
    }
}

/// Checks what a repository lists before any of it is a path.
pub(super) fn check_listing(id: &str, listing: &[String]) -> crate::Result<()> {
    match listing.iter().find(|name| !names::is_safe(name)) {
        Some(name) => Err(hostile(id, name)),
        None => Ok(()),
    }
}
