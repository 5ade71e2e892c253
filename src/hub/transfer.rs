//! From the hub into the cache: the files that a snapshot lacks, each whole or not at all.

use super::folder::Folder;
use super::part::Part;
use super::remote::{Facts, Listing, Remote};
use super::wire::{self, Failure};
use super::{Download, Wanted, faults, files};
use crate::error::Result;

/// Downloads what a commit's folder lacks.
///
/// # Errors
/// - a repository without safetensors, before anything is downloaded
/// - everything that [`super::Hub::snapshot`] lists
pub(super) fn fetch(
    remote: &Remote,
    folder: &Folder,
    listing: &Listing,
    wanted: Wanted,
    observer: &mut dyn Download,
) -> Result<()> {
    let Listing { commit, files } = listing;
    let weighty = wanted == Wanted::Model;
    if weighty && !files.iter().any(|name| files::is_weights(name)) {
        return Err(faults::no_weights(remote.id, files));
    }
    let mut one = |name: &str| match folder.has(commit, name) {
        true => Ok(()),
        false => file(remote, folder, commit, name, observer),
    };
    for name in files::texts(files) {
        one(name)?;
    }
    for name in files::MARKS {
        if !files.iter().any(|known| known == name) {
            folder.note_absent(commit, name)?;
        }
    }
    if weighty {
        for name in files::weights(files, &folder.snapshot(commit))? {
            one(&name)?;
        }
    }
    Ok(())
}

/// Downloads one file.
fn file(
    remote: &Remote,
    folder: &Folder,
    commit: &str,
    name: &str,
    observer: &mut dyn Download,
) -> Result<()> {
    let job = Job {
        remote,
        commit,
        name,
        facts: facts(remote, commit, name)?,
    };
    let blob = folder.blob(&job.facts.etag);
    let whole = || std::fs::metadata(&blob).is_ok_and(|found| found.len() == job.facts.size);
    // Whoever held the lock before may have downloaded it.
    let lock = folder.lock(&job.facts.etag)?;
    if !whole() {
        let mut part = Part::open(&blob, &job.facts.etag, job.facts.size)?;
        observer.start(name, job.facts.size, part.length());
        let filled = job.fill(&mut part, observer);
        observer.end();
        filled?;
        let part = job.checked(part)?;
        let path = part.path().to_path_buf();
        part.keep(&blob)
            .map_err(|e| faults::disk(remote.id, &path, e))?;
    }
    drop(lock);
    folder.link(commit, name, &job.facts.etag)
}

/// What a file is, asked several times if need be.
fn facts(remote: &Remote, commit: &str, name: &str) -> Result<Facts> {
    let mut tries = 0;
    loop {
        match remote.facts(commit, name) {
            Err(Failure::Lost(_)) if tries < remote.hub.tries => wire::pause(tries)?,
            other => return other.map_err(|failure| remote.told(failure)),
        }
        tries += 1;
    }
}

/// One file under way.
struct Job<'a> {
    remote: &'a Remote<'a>,
    commit: &'a str,
    name: &'a str,
    facts: Facts,
}

impl Job<'_> {
    /// Asks for the rest until there is none. A try that brought bytes does not count.
    fn fill(&self, part: &mut Part, observer: &mut dyn Download) -> Result<()> {
        let mut tries = 0;
        while part.length() < self.facts.size {
            let before = part.length();
            let why = match self.pull(part, observer) {
                Ok(()) => "the connection ended".to_string(),
                Err(Failure::Lost(why)) => why,
                Err(Failure::Final(error)) => return Err(error),
            };
            if part.length() > before {
                tries = 0;
            }
            if part.length() >= self.facts.size {
                break;
            }
            if tries == self.remote.hub.tries {
                let (id, total) = (self.remote.id, self.facts.size);
                return Err(faults::broken_off(
                    id,
                    self.name,
                    part.length(),
                    total,
                    &why,
                ));
            }
            tracing::warn!(file = self.name, bytes = part.length(), %why, "connection lost");
            wire::pause(tries)?;
            tries += 1;
        }
        Ok(())
    }

    /// One request for the rest, to its end.
    fn pull(&self, part: &mut Part, observer: &mut dyn Download) -> Result<(), Failure> {
        let (mut answer, start) = self.remote.body(self.commit, self.name, part.length())?;
        if start != part.length() {
            part.clear()?;
            observer.start(self.name, self.facts.size, 0);
        }
        while let Some(bytes) = answer.next()? {
            part.push(&bytes)
                .map_err(|e| faults::disk(self.remote.id, part.path(), e))?;
            observer.advance(bytes.len() as u64);
            if part.length() > self.facts.size {
                break;
            }
        }
        Ok(())
    }

    /// The part, if it is what the hub announced; otherwise it is removed.
    fn checked(&self, part: Part) -> Result<Part> {
        let (id, Facts { etag, size }) = (self.remote.id, &self.facts);
        let error = if part.length() != *size {
            let found = format!("at least {} bytes", part.length());
            faults::damaged(id, self.name, &found, &format!("{size} bytes"))
        } else {
            match part.sha256() {
                Some(found) if found != *etag => {
                    let found = format!("its SHA-256 is {found}");
                    faults::damaged(id, self.name, &found, etag)
                }
                _ => return Ok(part),
            }
        };
        part.discard()?;
        Err(error)
    }
}
