//! How the hub is spoken to: time limits, proxies, certificates, and where a redirect leads.

use super::Hub;
use crate::error::{Error, Result};
use std::fs;
use std::path::Path;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// How long a connection may take to come about, and how long it may be silent.
const CONNECT: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_secs(30);

/// The one client. What it is told of redirects and statuses leaves both to `remote.rs`.
pub(super) fn agent(hub: &Hub, uri: &Uri) -> Result<Agent> {
    let mut config = Agent::config_builder()
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        // Sizes and ranges are those of the file, not of a compressed one.
        .accept_encoding("identity")
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(SILENCE));
    // A proxy of the environment would look for this machine in another place.
    if matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        config = config.proxy(None);
    }
    if let Some(path) = &hub.certificates {
        let roots = certificates(path)?;
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    Ok(config.build().into())
}

/// The certificates of a PEM file.
fn certificates(path: &Path) -> Result<RootCerts> {
    let wrong = |reason: String| Error::file(path, format!("SSL_CERT_FILE names it: {reason}"));
    let text = fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let mut found = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(one) = item.map_err(|e| wrong(e.to_string()))? {
            found.push(one);
        }
    }
    if found.is_empty() {
        return Err(wrong("it holds no certificates".into()));
    }
    Ok(RootCerts::from(found))
}

/// Scheme, host and port.
pub(super) fn origin(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_string(), uri.authority()?.to_string()))
}

/// Where a redirect leads: an address, or a path on the same host.
pub(super) fn join(url: &str, location: &str) -> Option<String> {
    if location.starts_with("https://") || location.starts_with("http://") {
        return Some(location.to_string());
    }
    let (scheme, host) = origin(url)?;
    match location.strip_prefix('/') {
        Some(rest) if rest.starts_with('/') => Some(format!("{scheme}:{location}")),
        Some(_) => Some(format!("{scheme}://{host}{location}")),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_may_be_an_address_or_a_path() {
        let joined = |to: &str| join("https://a:1/b/c", to);
        assert_eq!(joined("/d?e").as_deref(), Some("https://a:1/d?e"));
        assert_eq!(joined("//h/d").as_deref(), Some("https://h/d"));
        assert_eq!(joined("http://h/d").as_deref(), Some("http://h/d"));
        assert_eq!(joined("file:///etc/x"), None);
        assert_ne!(origin("https://a/x"), origin("http://a/x"));
        assert_ne!(origin("https://a/x"), origin("https://a:8443/x"));
    }
}
