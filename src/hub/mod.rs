//! Models of the hub as folders: what is wanted of a repository, downloaded once into the cache
//! that Python's tools keep too.
//!
//! Names, addresses and the layout of the cache are those of the crate `hf-hub`. The bytes come
//! through `ureq`, which that crate stands on, because its own downloads cannot be stopped, trust
//! what came, and show the token to the hosts that the hub redirects to.

mod client;
mod env;
mod faults;
mod files;
mod folder;
mod names;
mod part;
mod remote;
mod transfer;
mod wire;

pub use names::is_id;

use crate::error::Result;
use folder::Folder;
use remote::Remote;
use std::path::PathBuf;
use wire::Failure;

/// The revision that is meant when none is named.
pub const MAIN: &str = "main";

/// Where a model is that a user named: at the path, or, if the name is one of the hub and no such
/// folder is there, in the cache, after a download if need be.
///
/// # Errors
/// Those of [`Hub::from_env`] and [`Hub::snapshot`].
pub fn locate(
    name: &str,
    revision: &str,
    wanted: Wanted,
    observer: &mut dyn Download,
) -> Result<PathBuf> {
    match is_id(name) {
        true => Hub::from_env()?.obtain(name, revision, wanted, observer),
        false => Ok(PathBuf::from(name)),
    }
}

/// What of a repository is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Everything that makes a model.
    Model,
    /// All but the weights.
    Tokenizer,
}

/// Where models come from and where they are kept. It has no `Debug`, which would show the token.
#[derive(Clone)]
pub struct Hub {
    /// Address of the hub; the crate knows the public one.
    pub endpoint: Option<String>,
    /// The folder that holds `models--org--name`.
    pub cache: PathBuf,
    /// Opens private and gated repositories. Only the endpoint ever sees it.
    pub token: Option<String>,
    /// Ask nobody; use what is in the cache.
    pub offline: bool,
    /// A file of trusted certificates, for networks with an authority of their own; otherwise those
    /// of the usual public ones.
    pub certificates: Option<PathBuf>,
    /// How often a file is asked for again after a time in which no byte of it came.
    pub tries: u32,
}

impl Hub {
    /// The folder of a model's files. What is whole in the cache is not asked for again, so a branch
    /// stays where it was when it was downloaded.
    ///
    /// # Errors
    /// - no such repository or revision, no permission, no connection, no free space
    /// - a repository without safetensors
    /// - bytes that are not the ones that the hub announced
    /// - an interrupt; what came so far is kept, and the next call goes on from there
    pub fn snapshot(
        &self,
        id: &str,
        revision: &str,
        observer: &mut dyn Download,
    ) -> Result<PathBuf> {
        self.obtain(id, revision, Wanted::Model, observer)
    }

    /// The same for what is wanted of it.
    ///
    /// # Errors
    /// As for [`snapshot`](Self::snapshot).
    pub fn obtain(
        &self,
        id: &str,
        revision: &str,
        wanted: Wanted,
        observer: &mut dyn Download,
    ) -> Result<PathBuf> {
        names::check_id(id)?;
        names::check_revision(revision)?;
        let folder = Folder::new(&self.cache, id);
        // 1. Files that are there need no network.
        let mut usable = None;
        if let Some(commit) = folder.commit(revision) {
            let snapshot = folder.snapshot(&commit);
            if wanted == Wanted::Tokenizer && files::has_tokenizer(&snapshot) {
                return Ok(snapshot);
            }
            if wanted == Wanted::Model && files::is_usable(&snapshot) {
                if self.offline || files::is_whole(&folder, &commit) {
                    return Ok(snapshot);
                }
                usable = Some(snapshot);
            }
        }
        if self.offline {
            return Err(faults::offline(id, revision, &folder));
        }
        // 2. The files of the revision, and the commit that it is now.
        let remote = Remote::new(self, id, revision)?;
        let listing = match (remote.listing(), usable) {
            (Ok(listing), _) => listing,
            // A model without a tokenizer that worked yesterday must work in a train, too.
            (Err(Failure::Lost(_)), Some(snapshot)) => return Ok(snapshot),
            (Err(failure), _) => return Err(remote.told(failure)),
        };
        // 3. What is missing, the weights last: if they are there, everything is.
        transfer::fetch(&remote, &folder, &listing, wanted, observer)?;
        folder.point(revision, &listing.commit)?;
        Ok(folder.snapshot(&listing.commit))
    }
}

/// Somebody who watches a download.
pub trait Download {
    /// A file begins: its bytes, and how many of them an earlier try left behind. It begins again if
    /// the server cannot go on from there.
    fn start(&mut self, file: &str, total: u64, already: u64);
    /// Bytes came.
    fn advance(&mut self, bytes: u64);
    /// The file is whole, or the download failed.
    fn end(&mut self);
}

/// Watches nothing.
pub struct Quiet;

impl Download for Quiet {
    fn start(&mut self, _: &str, _: u64, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn end(&mut self) {}
}

#[cfg(test)]
mod tests;
