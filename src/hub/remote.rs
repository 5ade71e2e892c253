//! The hub's side of one repository: what it lists, what a file is, and the file from some byte on.

use super::client::{agent, join, origin};
use super::wire::{self, Answer, Failure};
use super::{Hub, faults, names};
use crate::error::{Error, Result};
use hf_hub::api::RepoInfo;
use hf_hub::api::sync::{Api, ApiBuilder};
use hf_hub::{Cache, Repo, RepoType};
use ureq::typestate::WithoutBody;
use ureq::{Agent, RequestBuilder};

/// How often an answer may point elsewhere.
const REDIRECTS: usize = 8;
/// The status that says that a file has no such bytes.
const OUT_OF_RANGE: u16 = 416;
/// The longest list of files that is read.
const LISTING: usize = 64 << 20;

/// A repository of a hub at a revision.
pub(super) struct Remote<'a> {
    pub(super) hub: &'a Hub,
    pub(super) id: &'a str,
    revision: &'a str,
    names: Api,
    listed_at: String,
    agent: Agent,
}

/// What a revision is.
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<String>,
}

/// What a file is: the name of its content, and how long that is.
pub(super) struct Facts {
    pub(super) etag: String,
    pub(super) size: u64,
}

impl<'a> Remote<'a> {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// An endpoint that is no address; unusable certificates.
    pub(super) fn new(hub: &'a Hub, id: &'a str, revision: &'a str) -> Result<Self> {
        // The builder's own default would look for the home folder, and panic without one.
        let mut builder = ApiBuilder::from_cache(Cache::new(hub.cache.clone()))
            .with_token(None)
            .with_progress(false);
        if let Some(endpoint) = &hub.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let wrong = |found: String| Error::value("HF_ENDPOINT", found, "the address of a hub");
        let names = builder.build().map_err(|e| wrong(e.to_string()))?;
        let revised = Repo::with_revision(id.into(), RepoType::Model, revision.into());
        let request = names.repo(revised).info_request();
        let listed_at = request.uri_ref().filter(|uri| uri.authority().is_some());
        let listed_at = listed_at.ok_or_else(|| wrong(format!("{:?}", hub.endpoint)))?;
        Ok(Self {
            agent: agent(hub, listed_at)?,
            listed_at: listed_at.to_string(),
            hub,
            id,
            revision,
            names,
        })
    }

    /// The files of the revision, checked, and its commit.
    pub(super) fn listing(&self) -> Result<Listing, Failure> {
        let mut answer = self.ask(&self.listed_at, |url| self.agent.get(url), |_| false)?;
        let body = answer.whole(LISTING)?;
        let info: RepoInfo = serde_json::from_slice(&body).map_err(|e| self.strange(e))?;
        if !names::is_commit(&info.sha) {
            let what = format!("its commit is {:?}", info.sha);
            return Err(self.strange(what).into());
        }
        let files: Vec<String> = info.siblings.into_iter().map(|s| s.rfilename).collect();
        faults::check_listing(self.id, &files)?;
        Ok(Listing {
            commit: info.sha,
            files,
        })
    }

    /// What a file of a commit is. The hub tells it of the file itself and not of the place that it
    /// sends readers to, so the search ends where the linked etag is told.
    pub(super) fn facts(&self, commit: &str, name: &str) -> Result<Facts, Failure> {
        let told = |answer: &Answer| answer.header("x-linked-etag").is_some();
        let answer = self.ask(
            &self.address(commit, name),
            |url| self.agent.head(url),
            told,
        )?;
        let first = |names: [&str; 2]| names.into_iter().find_map(|name| answer.header(name));
        let missing = |what: &str| self.strange(format!("no {what} of `{name}`"));
        let etag = first(["x-linked-etag", "etag"])
            .and_then(names::etag)
            .ok_or_else(|| missing("usable etag"))?;
        let size = first(["x-linked-size", "content-length"])
            .and_then(|size| size.parse().ok())
            .ok_or_else(|| missing("size"))?;
        Ok(Facts {
            etag: etag.to_string(),
            size,
        })
    }

    /// A file of a commit from some byte on, or whole if the server cannot do that: the answer, and
    /// the byte that it starts with.
    pub(super) fn body(
        &self,
        commit: &str,
        name: &str,
        from: u64,
    ) -> Result<(Answer, u64), Failure> {
        let get = |url: &str| match from {
            0 => self.agent.get(url),
            _ => self
                .agent
                .get(url)
                .header("Range", format!("bytes={from}-")),
        };
        let answer = self.ask(&self.address(commit, name), get, |_| false)?;
        match answer.status {
            206 => (),
            // Nothing after that byte: what is here cannot be a part of the file.
            OUT_OF_RANGE if from > 0 => return self.body(commit, name, 0),
            OUT_OF_RANGE => return Err(self.strange(format!("no bytes of `{name}`")).into()),
            _ => return Ok((answer, 0)),
        }
        let start = answer.header("content-range").and_then(|range| {
            let range = range.trim().strip_prefix("bytes ")?;
            range.split('-').next()?.parse::<u64>().ok()
        });
        match start {
            Some(start) if start == from => Ok((answer, from)),
            _ => Err(self
                .strange(format!("other bytes of `{name}` than asked for"))
                .into()),
        }
    }

    /// A failure as an error.
    pub(super) fn told(&self, failure: Failure) -> Error {
        match failure {
            Failure::Final(error) => error,
            Failure::Lost(why) => faults::unreachable(self.id, &self.endpoint(), &why),
        }
    }

    fn address(&self, commit: &str, name: &str) -> String {
        let repo = Repo::with_revision(self.id.into(), RepoType::Model, commit.into());
        self.names.repo(repo).url(&names::escaped(name))
    }

    fn endpoint(&self) -> String {
        self.listed_at
            .split("/api/models/")
            .next()
            .unwrap_or_default()
            .to_string()
    }

    fn strange(&self, what: impl std::fmt::Display) -> Error {
        faults::strange(self.id, &self.endpoint(), what)
    }

    /// Asks, and follows where the answers point until one is good or `enough`.
    fn ask(
        &self,
        url: &str,
        request: impl Fn(&str) -> RequestBuilder<WithoutBody>,
        enough: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, Failure> {
        let mut url = url.to_string();
        for _ in 0..REDIRECTS {
            let mut asking = request(&url);
            // Hubs redirect to other hosts, which are none of the token's business.
            let at_hub = origin(&url) == origin(&self.listed_at);
            if let Some(token) = &self.hub.token
                && at_hub
            {
                asking = asking.header("Authorization", format!("Bearer {token}"));
            }
            let answer = wire::send(asking)?;
            match answer.status {
                200..300 | OUT_OF_RANGE => return Ok(answer),
                300..400 if enough(&answer) => return Ok(answer),
                300..400 => {
                    let target = answer.header("location").and_then(|to| join(&url, to));
                    url = target.ok_or_else(|| self.strange("it redirects to nowhere"))?;
                }
                429 | 500..600 => return Err(Failure::Lost(format!("status {}", answer.status))),
                status if !at_hub => return Err(faults::elsewhere(self.id, &url, status).into()),
                status => {
                    let code = answer.header("x-error-code").unwrap_or_default();
                    let token = self.hub.token.is_some();
                    return Err(faults::refused(self.id, self.revision, status, code, token).into());
                }
            }
        }
        Err(self.strange("it redirects in a circle").into())
    }
}
