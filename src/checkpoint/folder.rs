//! Folders that appear whole or not at all.
//!
//! A folder is filled aside, as `NAME.PID.partial`, and renamed when every file of it is on the disk. One that
//! it replaces is moved to `NAME.replaced` for that moment; a process that is killed then leaves both,
//! and whoever looks next puts back what is needed.

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
    let name = name_of(path)?;
    let parent = parent_of(path);
    fs::create_dir_all(&parent).map_err(Error::io(&parent))?;
    settle(path, &ours)?;
    clear_partial(&parent, Some(&name))?;
    let aside = parent.join(format!("{name}.{}.{PARTIAL}", std::process::id()));
    let filled = fs::create_dir(&aside)
        .map_err(Error::io(&aside))
        .and_then(|()| make(&aside))
        .and_then(|()| sync(&aside));
    if let Err(error) = filled {
        // The first error is the one to tell; this only clears up after it.
        drop(fs::remove_dir_all(&aside));
        return Err(error);
    }
    let replaced = replaced_by(path, &name);
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
    let name = name_of(path)?;
    let replaced = replaced_by(path, &name);
    match replaced.is_dir() && !path.exists() {
        true => fs::rename(&replaced, path).map_err(Error::io(path)),
        false => Ok(()),
    }
}

/// Removes a folder so that no half of it is ever taken for the whole.
pub fn remove_folder(path: &Path) -> Result<()> {
    let aside = path.with_file_name(format!("{}.{PARTIAL}", name_of(path)?));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Error::io(&aside))?;
    }
    fs::rename(path, &aside).map_err(Error::io(path))?;
    fs::remove_dir_all(&aside).map_err(Error::io(&aside))
}

/// Clears a folder of what killed processes left in it: half-written folders and files go, folders
/// that were about to be replaced come back.
pub fn clear_leftovers(parent: &Path) -> Result<()> {
    clear_partial(parent, None)?;
    for (path, name) in entries(parent)? {
        if let Some(name) = name.strip_suffix(&format!(".{REPLACED}")) {
            let whole = parent.join(name);
            match whole.exists() {
                true => fs::remove_dir_all(&path).map_err(Error::io(&path))?,
                false => fs::rename(&path, &whole).map_err(Error::io(&path))?,
            }
        }
    }
    Ok(())
}

/// Ends a replacement: what is not ours moves on, the rest of the earlier folder goes.
fn settle(path: &Path, ours: &impl Fn(&str) -> bool) -> Result<()> {
    restore_folder(path)?;
    let replaced = replaced_by(path, &name_of(path)?);
    if !replaced.is_dir() {
        return Ok(());
    }
    for (from, name) in entries(&replaced)? {
        let to = path.join(&name);
        if !ours(&name) && !to.exists() {
            fs::rename(&from, &to).map_err(Error::io(&from))?;
        }
    }
    fs::remove_dir_all(&replaced).map_err(Error::io(&replaced))
}

/// Removes half-written files and folders, all or those of a name, but not those of a process that
/// still lives.
fn clear_partial(parent: &Path, of: Option<&str>) -> Result<()> {
    for (path, entry) in entries(parent)? {
        let Some(stem) = entry.strip_suffix(&format!(".{PARTIAL}")) else {
            continue;
        };
        let (name, process) = match stem.rsplit_once('.') {
            Some((name, id)) if id.parse::<u32>().is_ok() => (name, id.parse().ok()),
            _ => (stem, None),
        };
        if of.is_some_and(|of| of != name) || process.is_some_and(lives) {
            continue;
        }
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(Error::io(&path))?;
    }
    Ok(())
}

/// Whether another process of this number is known to run.
fn lives(process: u32) -> bool {
    process != std::process::id() && Path::new("/proc").join(process.to_string()).exists()
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

fn replaced_by(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(format!("{name}.{REPLACED}"))
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
        make(&format!("a.{dead}.partial"));
        make("b.replaced");
        make("c");
        make("c.replaced");
        make("d.partial");
        fs::write(dir.path().join(format!("e.{dead}.partial")), "x").unwrap();
        clear_leftovers(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["b", "c"]);
        make("f.replaced");
        fs::write(dir.path().join("f.replaced/weights"), "old").unwrap();
        restore_folder(&dir.path().join("f")).unwrap();
        assert_eq!(names(&dir.path().join("f")), ["weights"]);
        remove_folder(&dir.path().join("f")).unwrap();
        assert_eq!(names(dir.path()), ["b", "c"]);
    }
}
