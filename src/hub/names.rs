//! What may name a repository, a revision or a file. Names become paths in the cache, so nothing
//! that a user types or a server sends is used before it was looked at here.

use crate::error::{Error, Result};
use std::path::Path;

/// Whether a text names a repository of the hub, `org/name`, and not a folder that is there.
///
/// A single word is a folder: every repository has its owner in front, and `lm::load("modle")`
/// should complain of a folder and not ask the network.
pub fn is_id(text: &str) -> bool {
    is_well_formed(text) && !Path::new(text).exists()
}

/// An error if a text cannot be a repository's name.
pub(super) fn check_id(id: &str) -> Result<()> {
    if is_well_formed(id) {
        Ok(())
    } else {
        Err(Error::value(
            "id of a model",
            format!("`{id}`"),
            "org/name, of letters, digits, `-`, `_` and `.`",
        ))
    }
}

fn is_well_formed(id: &str) -> bool {
    let part = |part: &str| {
        let outside = |c: char| c == '.' || c == '-';
        !part.is_empty()
            && part.len() <= 96
            && part.chars().all(is_plain)
            && !part.starts_with(outside)
            && !part.ends_with(outside)
            // In the cache `--` stands for the slash; two ids would share a folder.
            && !part.contains("--")
            && !part.contains("..")
    };
    id.split_once('/')
        .is_some_and(|(org, name)| part(org) && part(name))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// An error if a text cannot be a branch, a tag or a commit.
pub(super) fn check_revision(revision: &str) -> Result<()> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.contains("..")
            && part.chars().all(|c| is_plain(c) || matches!(c, '+' | '@'))
    };
    if revision.len() <= 200 && revision.split('/').all(part) {
        Ok(())
    } else {
        Err(Error::value(
            "revision",
            format!("`{revision}`"),
            "a branch, a tag or a commit, such as `main`",
        ))
    }
}

/// Whether a revision is a whole commit hash, which never means anything else later.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && is_hex(revision)
}

/// Whether an etag is the SHA-256 of its file, as it is for all large ones.
pub(super) fn is_sha256(etag: &str) -> bool {
    etag.len() == 64 && is_hex(etag)
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The etag of a header as a file name, without quotes and the mark of a weak one.
pub(super) fn etag(header: &str) -> Option<&str> {
    let etag = header.trim_start_matches("W/").trim_matches('"');
    (!etag.is_empty() && etag.len() <= 200 && etag.chars().all(is_plain) && !etag.starts_with('.'))
        .then_some(etag)
}

/// Whether a file's name stays in its folder, whatever the folder is.
pub(super) fn is_safe(name: &str) -> bool {
    !name.chars().any(char::is_control)
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// A name as a part of an address: everything but letters, digits and `-._~` as `%XX`.
pub(super) fn escaped(name: &str) -> String {
    let escape = |b: u8| match b {
        b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
        _ if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    name.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_an_owner_and_a_name() {
        assert!(is_id("Qwen/Qwen3-0.6B"));
        assert!(is_id("a/b_c.d"));
        for other in [
            "gpt2", "/a/b", "a/b/c", "./a", "../a", "a/", "a//b", "a/b--c", "a/..", "~/a", "a b/c",
            "a/b.", "", "C:\\a",
        ] {
            assert!(!is_id(other), "{other}");
        }
        // A folder that is there is a folder.
        assert!(is_well_formed("src/hub") && !is_id("src/hub"));
    }

    #[test]
    fn names_stay_in_their_folder() {
        assert!(is_safe("model.safetensors") && is_safe("1_Pooling/config.json"));
        for hostile in ["../x", "a/../../x", "/etc/x", "a//b", "./x", "a\nb", ""] {
            assert!(!is_safe(hostile), "{hostile:?}");
        }
        assert_eq!(etag("W/\"abc-1\""), Some("abc-1"));
        assert_eq!(etag("\"../x\""), None);
        assert_eq!(etag("\".x\""), None);
        assert!(check_revision("refs/pr/1").is_ok() && check_revision("v1.0").is_ok());
        assert!(check_revision("../main").is_err() && check_revision("a?b").is_err());
        assert_eq!(escaped("a b#.safetensors"), "a%20b%23.safetensors");
    }
}
