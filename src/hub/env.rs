//! The environment variables that Python's tools know.

use super::Hub;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

impl Hub {
    /// As `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN` (or `HF_TOKEN_PATH`, or the file
    /// `token` that a login left in `HF_HOME`), `HF_HUB_OFFLINE` and `SSL_CERT_FILE` say.
    ///
    /// # Errors
    /// No cache is named and there is no home folder for one; an endpoint that is no address; a
    /// token that cannot be sent.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(&|name| std::env::var(name).ok(), std::env::home_dir())
    }

    /// As the variables that a function knows say. An empty one is none.
    pub(super) fn from_variables(
        variable: &dyn Fn(&str) -> Option<String>,
        home: Option<PathBuf>,
    ) -> Result<Self> {
        let text = |name: &str| {
            let value = variable(name)?.trim().to_string();
            (!value.is_empty()).then_some(value)
        };
        let path = |name: &str| text(name).map(|path| expand(&path, home.as_deref()));
        let hf_home = path("HF_HOME")
            .or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")))
            .or_else(|| Some(home.as_ref()?.join(".cache/huggingface")));
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(hf_home.as_ref()?.join("hub")))
            .ok_or_else(|| {
                let expected = "a folder for downloads, because there is no home folder";
                Error::value("HF_HOME", "nothing", expected)
            })?;
        let token_file = path("HF_TOKEN_PATH").or_else(|| Some(hf_home?.join("token")));
        let token = text("HF_TOKEN")
            .or_else(|| text("HUGGING_FACE_HUB_TOKEN"))
            // Without the file nobody is logged in; that is no error.
            .or_else(|| std::fs::read_to_string(token_file?).ok());
        Ok(Self {
            endpoint: text("HF_ENDPOINT").map(endpoint).transpose()?,
            cache,
            token: token.map_or(Ok(None), |token| clean(&token))?,
            offline: text("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
            certificates: path("SSL_CERT_FILE"),
            tries: 5,
        })
    }
}

/// A path whose `~` is the home folder.
fn expand(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_path_buf(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(path),
    }
}

fn is_true(value: &str) -> bool {
    ["1", "true", "yes", "on"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

/// An address without the slash at its end.
fn endpoint(address: String) -> Result<String> {
    let host = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"));
    if host.is_some_and(|host| !host.is_empty()) {
        Ok(address.trim_end_matches('/').to_string())
    } else {
        let expected = "an address that starts with https:// or http://";
        Err(Error::value("HF_ENDPOINT", address, expected))
    }
}

/// A token without the line end of its file. It is not shown, not even in an error.
fn clean(token: &str) -> Result<Option<String>> {
    let token = token.trim();
    if token.bytes().all(|b| b.is_ascii_graphic()) {
        Ok((!token.is_empty()).then(|| token.to_string()))
    } else {
        let found = "a text with spaces or characters outside ASCII";
        Err(Error::value("HF_TOKEN", found, "a token of the hub"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(variables: &[(&str, &str)]) -> Result<Hub> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_string())
        };
        Hub::from_variables(&variable, Some("/h".into()))
    }

    #[test]
    fn the_cache_is_where_python_looks_for_it() {
        let cache = |variables: &[(&str, &str)]| hub(variables).ok().unwrap().cache;
        assert_eq!(cache(&[]), Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "/data")]), Path::new("/data/hub"));
        assert_eq!(cache(&[("HF_HOME", "~/x")]), Path::new("/h/x/hub"));
        let xdg = [("XDG_CACHE_HOME", "/c"), ("HF_HOME", " ")];
        assert_eq!(cache(&xdg), Path::new("/c/huggingface/hub"));
        let both = [("HF_HUB_CACHE", "/h"), ("HF_HOME", "/data")];
        assert_eq!(cache(&both), Path::new("/h"));
        assert!(Hub::from_variables(&|_| None, None).is_err());
    }

    #[test]
    fn the_other_variables_are_read() {
        let nothing = hub(&[]).ok().unwrap();
        assert!(!nothing.offline && nothing.endpoint.is_none() && nothing.token.is_none());
        for (value, offline) in [("1", true), ("True", true), ("ON", true), ("0", false)] {
            assert_eq!(
                hub(&[("HF_HUB_OFFLINE", value)]).ok().unwrap().offline,
                offline
            );
        }
        let endpoint = hub(&[("HF_ENDPOINT", "http://h:1/a/")])
            .ok()
            .unwrap()
            .endpoint;
        assert_eq!(endpoint.as_deref(), Some("http://h:1/a"));
        assert!(hub(&[("HF_ENDPOINT", "h:1")]).is_err());
        let error = hub(&[("HF_TOKEN", "hf_a b")]).err().unwrap().to_string();
        assert!(!error.contains("hf_a"), "{error}");
    }

    #[test]
    fn a_login_leaves_a_token_in_a_file() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        let folder = home.path().to_str().unwrap();
        let token = |variables: &[_]| hub(variables).ok().unwrap().token;
        assert_eq!(token(&[("HF_HOME", folder)]).as_deref(), Some("hf_file"));
        let both = [("HF_HOME", folder), ("HF_TOKEN", "hf_env")];
        assert_eq!(token(&both).as_deref(), Some("hf_env"));
    }
}
