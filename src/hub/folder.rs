//! The cache of one repository, laid out as Python's tools do it: `blobs` holds contents by their
//! etag, `snapshots/<commit>` links to them by name, `refs` says which commit a branch was.

use super::names;
use crate::error::{Error, Result};
use crate::mlx::interrupt;
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often a lock that somebody else holds is tried.
const EVERY: Duration = Duration::from_millis(100);

/// The folder of a repository in a cache.
pub(super) struct Folder {
    path: PathBuf,
    locks: PathBuf,
    known: CacheRepo,
}

impl Folder {
    pub(super) fn new(cache: &Path, id: &str) -> Self {
        let repo = Repo::new(id.to_string(), RepoType::Model);
        let name = repo.folder_name();
        Self {
            path: cache.join(&name),
            locks: cache.join(".locks").join(name),
            known: Cache::new(cache.to_path_buf()).repo(repo),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The commit that a revision was when it was downloaded.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if names::is_commit(revision) {
            return Some(revision.to_string());
        }
        let text = fs::read_to_string(self.path.join("refs").join(revision)).ok()?;
        let commit = text.trim();
        names::is_commit(commit).then(|| commit.to_string())
    }

    /// Makes a revision mean a commit. A commit means itself.
    pub(super) fn point(&self, revision: &str, commit: &str) -> Result<()> {
        if names::is_commit(revision) {
            return Ok(());
        }
        let path = self.path.join("refs").join(revision);
        replace(&path, |aside| fs::write(aside, commit))
    }

    /// The folder of a commit's files.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.known.pointer_path(commit)
    }

    /// The file with a content.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.known.blob_path(etag)
    }

    /// Whether a file of a commit is here; a link to a content that was removed does not count.
    pub(super) fn has(&self, commit: &str, name: &str) -> bool {
        self.snapshot(commit).join(name).is_file()
    }

    /// Whether a commit is known to be without a file.
    pub(super) fn lacks(&self, commit: &str, name: &str) -> bool {
        self.absent(commit, name).is_file()
    }

    /// Remembers, in Python's way, that a commit is without a file.
    pub(super) fn note_absent(&self, commit: &str, name: &str) -> Result<()> {
        replace(&self.absent(commit, name), |aside| fs::write(aside, ""))
    }

    fn absent(&self, commit: &str, name: &str) -> PathBuf {
        self.path.join(".no_exist").join(commit).join(name)
    }

    /// Gives a content its name in a commit.
    pub(super) fn link(&self, commit: &str, name: &str, etag: &str) -> Result<()> {
        let content = Path::new("../../blobs").join(etag);
        replace(&self.snapshot(commit).join(name), |aside| {
            // Some file systems of external disks have no links; there the content moves.
            std::os::unix::fs::symlink(&content, aside)
                .or_else(|_| fs::rename(self.blob(etag), aside))
        })
    }

    /// Waits until nobody else, Python included, downloads the same content. The lock goes with the
    /// file that this answers with.
    ///
    /// # Errors
    /// An interrupt while waiting.
    pub(super) fn lock(&self, etag: &str) -> Result<File> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_parent(&path)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => std::thread::sleep(EVERY),
                // A network disk without locks; the checksums still guard the contents.
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
                    return Ok(file);
                }
                Err(TryLockError::Error(e)) => return Err(Error::io(&path)(e)),
            }
            interrupt::check()?;
        }
    }
}

/// Makes a file aside and renames it, so that others see it whole or not at all.
fn replace(path: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    make_parent(path)?;
    // Two processes, or two threads of one, that make one file must not share its other name.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}.{count}.aside", std::process::id()));
    let aside = PathBuf::from(aside);
    // What an earlier process with this number left behind.
    drop(fs::remove_file(&aside));
    make(&aside)
        .and_then(|()| fs::rename(&aside, path))
        .map_err(Error::io(path))
}

/// The folder that a file belongs in, made if it is not there.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => fs::create_dir_all(folder).map_err(Error::io(folder)),
        None => Ok(()),
    }
}
