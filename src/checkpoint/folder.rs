//! Folders that appear whole or not at all.
//!
//! A folder is filled aside, as `NAME.PID.partial`, and renamed when every file of it is on the disk.
//! One that it replaces is moved to `NAME.PID.replaced` for that moment; a process that is killed then
//! leaves both, and whoever looks next puts back what is needed. Without the number of a process in
//! its name nothing is taken for such a leftover: it may be a user's.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const PARTIAL: &str = "partial";
const REPLACED: &str = "replaced";

/// Fills a folder by `make` and puts it at `path`, where an earlier one is replaced.
///
/// Files of the earlier one that are not `ours` move into the new one: a user may keep notes there.
///
/// # Errors
/// Those of `make` and the operating system's. The earlier folder is still there then.
pub fn replace_folder(
    path: &Path,
    ours: impl Fn(&str) -> bool,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    // A link stays one, and its target changes.
    let path = &fs::canonicalize(path).unwrap_or(path.to_path_buf());
    let parent = parent_of(path);
    fs::create_dir_all(&parent).map_err(Error::io(&parent))?;
    settle(path, &ours)?;
    let aside = beside(path, PARTIAL)?;
    let filled = fs::create_dir(&aside)
        .map_err(Error::io(&aside))
        .and_then(|()| make(&aside))
        .and_then(|()| sync(&aside));
    if let Err(error) = filled {
        // The first error is the one to tell; this only clears up after it.
        drop(fs::remove_dir_all(&aside));
        return Err(error);
    }
    let replaced = beside(path, REPLACED)?;
    if path.exists() {
        fs::rename(path, &replaced).map_err(Error::io(path))?;
    }
    if let Err(error) = fs::rename(&aside, path) {
        drop(fs::rename(&replaced, path));
        return Err(Error::io(path)(error));
    }
    sync(&parent)?;
    settle(path, &ours)
}

/// Puts back a folder that a killed process had moved out of the way and not replaced yet.
pub fn restore_folder(path: &Path) -> Result<()> {
    if path.exists() || !parent_of(path).is_dir() {
        return Ok(());
    }
    let name = name_of(path)?;
    let mut left = leftovers(&parent_of(path), &|of| of == name)?.into_iter();
    match left.find(|leftover| leftover.kind == REPLACED) {
        Some(replaced) => fs::rename(&replaced.path, path).map_err(Error::io(path)),
        None => Ok(()),
    }
}

/// Removes a folder so that no half of it is ever taken for the whole.
pub fn remove_folder(path: &Path) -> Result<()> {
    let aside = beside(path, PARTIAL)?;
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Error::io(&aside))?;
    }
    fs::rename(path, &aside).map_err(Error::io(path))?;
    fs::remove_dir_all(&aside).map_err(Error::io(&aside))
}

/// Clears a folder of what killed processes left of the files and folders whose names are `ours`: the
/// half-written go, those that were about to be replaced come back.
pub fn clear_leftovers(parent: &Path, ours: impl Fn(&str) -> bool) -> Result<()> {
    for leftover in leftovers(parent, &ours)? {
        let whole = parent.join(&leftover.name);
        match leftover.kind == REPLACED && !whole.exists() {
            true => fs::rename(&leftover.path, &whole).map_err(Error::io(&whole))?,
            false => remove(&leftover.path)?,
        }
    }
    Ok(())
}

/// Ends what was begun with a folder: of one that was replaced, what is not ours moves on and the
/// rest goes.
fn settle(path: &Path, ours: &impl Fn(&str) -> bool) -> Result<()> {
    restore_folder(path)?;
    let name = name_of(path)?;
    for leftover in leftovers(&parent_of(path), &|of| of == name)? {
        if leftover.kind == REPLACED {
            for (from, name) in entries(&leftover.path)? {
                let to = path.join(&name);
                if !ours(&name) && !to.exists() {
                    fs::rename(&from, &to).map_err(Error::io(&from))?;
                }
            }
        }
        remove(&leftover.path)?;
    }
    Ok(())
}

/// What a process that no longer lives, or this one, left of a file or a folder.
struct Leftover {
    path: PathBuf,
    name: String,
    kind: &'static str,
}

fn leftovers(parent: &Path, ours: &impl Fn(&str) -> bool) -> Result<Vec<Leftover>> {
    let found = entries(parent)?.into_iter().filter_map(|(path, entry)| {
        let (stem, ending) = entry.rsplit_once('.')?;
        let kind = [PARTIAL, REPLACED]
            .into_iter()
            .find(|kind| *kind == ending)?;
        let (name, process) = stem.rsplit_once('.')?;
        let process: u32 = process.parse().ok()?;
        (ours(name) && !lives(process)).then(|| Leftover {
            path,
            name: name.to_string(),
            kind,
        })
    });
    Ok(found.collect())
}

/// Whether another process of this number is known to run.
fn lives(process: u32) -> bool {
    process != std::process::id() && Path::new("/proc").join(process.to_string()).exists()
}

fn remove(path: &Path) -> Result<()> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    removed.map_err(Error::io(path))
}

fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let entries = fs::read_dir(folder).map_err(Error::io(folder))?;
    let named = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?.to_string();
        Some((path, name))
    });
    Ok(named.collect())
}

/// Makes sure that the names in a folder are on the disk; its files are, each by its writer.
fn sync(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(Error::io(folder))
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        Error::file(
            path,
            "a folder that is written as a whole needs a name of its own",
        )
    })?;
    Ok(name.to_string())
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// This process's name for something beside a folder.
fn beside(path: &Path, kind: &str) -> Result<PathBuf> {
    let name = format!("{}.{}.{kind}", name_of(path)?, std::process::id());
    Ok(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &'static str) -> impl Fn(&Path) -> Result<()> {
        move |folder| {
            let path = folder.join("weights");
            fs::write(&path, text).map_err(Error::io(&path))
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = entries(folder).unwrap().into_iter().map(|e| e.1).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let ours = |name: &str| name == "weights";
        replace_folder(&path, ours, fill("1")).unwrap();
        fs::write(path.join("notes.txt"), "mine").unwrap();
        replace_folder(&path, ours, fill("2")).unwrap();
        assert_eq!(names(&path), ["notes.txt", "weights"]);
        assert_eq!(fs::read_to_string(path.join("weights")).unwrap(), "2");
        let failed = replace_folder(&path, ours, |folder| {
            fill("3")(folder)?;
            Err(Error::Interrupted)
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(path.join("weights")).unwrap(), "2");
        assert_eq!(names(&dir.path().join("a")), ["b"]);
    }

    #[test]
    fn what_a_killed_process_left_is_put_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| fs::create_dir(dir.path().join(name)).unwrap();
        let dead = u32::MAX;
        let (partial, replaced) = (format!("{dead}.partial"), format!("{dead}.replaced"));
        make(&format!("a.{partial}"));
        make(&format!("b.{replaced}"));
        make("c");
        make(&format!("c.{replaced}"));
        fs::write(dir.path().join(format!("e.{partial}")), "x").unwrap();
        // Whatever else is called so is somebody's.
        make("c.partial");
        make("c.replaced");
        make(&format!("mine.{partial}"));
        clear_leftovers(dir.path(), |name| name != "mine").unwrap();
        let mine = format!("mine.{partial}");
        assert_eq!(
            names(dir.path()),
            ["b", "c", "c.partial", "c.replaced", &mine]
        );
        let old = dir.path().join(format!("f.{replaced}"));
        fs::create_dir(&old).unwrap();
        fs::write(old.join("weights"), "old").unwrap();
        let path = dir.path().join("f");
        restore_folder(&path).unwrap();
        assert_eq!(names(&path), ["weights"]);
        // Killed after the new one was there: notes move on, the rest goes.
        fs::create_dir(&old).unwrap();
        fs::write(old.join("notes"), "old").unwrap();
        replace_folder(&path, |name| name == "weights", fill("new")).unwrap();
        assert_eq!(names(&path), ["notes", "weights"]);
        remove_folder(&path).unwrap();
        assert_eq!(
            names(dir.path()),
            ["b", "c", "c.partial", "c.replaced", &mine]
        );
    }
}
