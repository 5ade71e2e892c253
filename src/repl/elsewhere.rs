//! A text edited in the user's own editor.

use crate::error::{Error, Result};
use crate::mlx::interrupt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Opens a text in `$VISUAL`, `$EDITOR` or `vi`; what was saved.
///
/// # Errors
/// An editor that does not run or ends with a failure, a file that cannot be written or read.
pub fn edit(text: &str) -> Result<String> {
    let file = Draft::new(text)?;
    let chosen = ["VISUAL", "EDITOR"].map(|name| std::env::var(name).unwrap_or_default());
    let chosen = chosen.iter().find(|editor| !editor.trim().is_empty());
    let editor = chosen.map_or("vi", String::as_str);
    // By the shell, as git does: the variable may hold arguments.
    let script = format!("{editor} \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, editor]).arg(&file.0);
    let run = interrupt::lent(|| command.status());
    let failed = |what: String| Error::Unsupported(format!("the editor `{editor}` {what}"));
    let status = run.map_err(|error| failed(format!("does not start: {error}")))?;
    if !status.success() {
        return Err(failed(format!("failed ({status})")));
    }
    let saved = std::fs::read_to_string(&file.0).map_err(Error::io(&file.0))?;
    Ok(saved.trim_end().to_string())
}

/// A file that is removed again.
struct Draft(PathBuf);

impl Draft {
    fn new(text: &str) -> Result<Self> {
        let folder = std::env::temp_dir();
        let mut number = std::process::id();
        let (path, mut file) = loop {
            let path = folder.join(format!("mlx-repl-{number}.rhai"));
            match create(&path) {
                Ok(file) => break (path, file),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    number = number.wrapping_add(1);
                }
                Err(error) => return Err(Error::io(&path)(error)),
            }
        };
        let draft = Self(path);
        let written = writeln!(file, "{text}");
        written.map_err(Error::io(&draft.0))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // The system clears the folder if we cannot.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A new file that nobody else may read.
fn create(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
