//! A repository as the hub answers for it: a listing, facts by `HEAD`, bytes with ranges, and large
//! files by way of a redirect.

use super::server::{Asked, Reply};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Files by name.
#[derive(Clone, Default)]
pub struct Repository {
    pub id: &'static str,
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Where large files lie; the same host without it.
    pub elsewhere: Option<String>,
}

impl Repository {
    /// A small model whose weights are large enough to come in several pieces.
    pub fn model(id: &'static str) -> Self {
        let weights = (0..1_000_000u32)
            .map(|i| (i.wrapping_mul(i) >> 7) as u8)
            .collect();
        Self {
            id,
            files: vec![
                (".gitattributes", b"*".to_vec()),
                ("README.md", b"# A model".to_vec()),
                ("config.json", b"{\"model_type\": \"qwen3\"}".to_vec()),
                ("model.safetensors", weights),
                ("original/model.safetensors", b"other".to_vec()),
                ("pytorch_model.bin", b"pickle".to_vec()),
                ("tokenizer.json", b"{}".to_vec()),
                ("tokenizer_config.json", b"{\"a\": 1}".to_vec()),
            ],
            elsewhere: None,
        }
    }

    pub fn content(&self, name: &str) -> &[u8] {
        let found = self.files.iter().find(|(known, _)| *known == name);
        found.map_or(&[], |(_, content)| content)
    }

    /// What the hub answers.
    pub fn answer(&self, asked: &Asked) -> Reply {
        if asked
            .path
            .starts_with(&format!("/api/models/{}/revision/", self.id))
        {
            return self.listing();
        }
        if let Some(name) = asked.path.strip_prefix("/elsewhere/") {
            return ranged(self.content(name), asked);
        }
        let start = format!("/{}/resolve/{COMMIT}/", self.id);
        match asked.path.strip_prefix(&start) {
            Some(name) if self.files.iter().any(|(known, _)| *known == name) => {
                self.file(name, asked)
            }
            _ => Reply::new(404, "").with("X-Error-Code", "RepoNotFound"),
        }
    }

    fn listing(&self) -> Reply {
        let names: Vec<String> = self
            .files
            .iter()
            .map(|(name, _)| serde_json::json!({ "rfilename": name }).to_string())
            .collect();
        let names = names.join(",");
        let body = format!("{{\"sha\": \"{COMMIT}\", \"siblings\": [{names}]}}");
        Reply::new(200, body).with("X-Repo-Commit", COMMIT)
    }

    fn file(&self, name: &str, asked: &Asked) -> Reply {
        let content = self.content(name);
        if !name.ends_with(".safetensors") {
            let etag = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, content).as_ref());
            return ranged(content, asked)
                .with("ETag", format!("\"{etag}\""))
                .with("X-Repo-Commit", COMMIT);
        }
        let etag = hex(digest(&SHA256, content).as_ref());
        let host = self.elsewhere.clone().unwrap_or_default();
        Reply::new(302, "Found")
            .with("Location", format!("{host}/elsewhere/{name}"))
            .with("X-Repo-Commit", COMMIT)
            .with("X-Linked-Etag", format!("\"{etag}\""))
            .with("X-Linked-Size", content.len())
    }
}

fn ranged(content: &[u8], asked: &Asked) -> Reply {
    let from = asked.header("range").map(|range| {
        let from = range.trim_start_matches("bytes=").trim_end_matches('-');
        from.parse::<usize>().unwrap()
    });
    let total = content.len();
    match from {
        None => Reply::new(200, content),
        Some(from) if from < total => Reply::new(206, &content[from..]).with(
            "Content-Range",
            format!("bytes {from}-{}/{total}", total - 1),
        ),
        Some(_) => Reply::new(416, "").with("Content-Range", format!("bytes */{total}")),
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
