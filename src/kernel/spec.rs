//! How front ends find the kernel: a folder with a description, where Jupyter looks.

use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::env;
use std::path::{Path, PathBuf};

/// The name of the kernel, if it gets no other.
pub const NAME: &str = "mlx-repl";

const LOGO: &str = include_str!("logo.svg");

/// Where kernels are kept.
#[derive(Clone, Debug)]
pub enum Place {
    /// Those of the user.
    User,
    /// Those of an environment, by its folder.
    Prefix(PathBuf),
}

impl Place {
    /// The folder of a kernel.
    ///
    /// # Errors
    /// A name that Jupyter would not find; a user without a home.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || !name.chars().all(is_plain) || name.starts_with('.') {
            let expected = "letters, digits, `-`, `_` and `.`, which does not come first";
            return Err(Error::value("kernel name", format!("`{name}`"), expected));
        }
        let data = match self {
            Self::Prefix(prefix) => prefix.join("share/jupyter"),
            Self::User => user_data()?,
        };
        Ok(data.join("kernels").join(name))
    }
}

/// Jupyter's own rule for the data of a user.
fn user_data() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(data) = set("JUPYTER_DATA_DIR") {
        return Ok(data.into());
    }
    let home = env::home_dir().ok_or_else(|| {
        Error::Unsupported("this user has no home folder; say where with --prefix".into())
    })?;
    if cfg!(target_os = "macos") {
        return Ok(home.join("Library/Jupyter"));
    }
    let data = set("XDG_DATA_HOME").map_or(home.join(".local/share"), PathBuf::from);
    Ok(data.join("jupyter"))
}

/// Writes the description of this program, with these arguments, as a kernel; its folder.
///
/// # Errors
/// A name that Jupyter would not find; a folder that cannot be written.
pub fn install(place: &Place, name: &str, settings: &[String]) -> Result<PathBuf> {
    let folder = place.folder(name)?;
    std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    let program = env::current_exe().map_err(Error::io(NAME))?;
    let description = format!("{:#}\n", description(&program, name, settings));
    for (file, text) in [
        ("kernel.json", description.as_str()),
        ("logo-svg.svg", LOGO),
    ] {
        let path = folder.join(file);
        std::fs::write(&path, text).map_err(Error::io(&path))?;
    }
    Ok(folder)
}

fn description(program: &Path, name: &str, settings: &[String]) -> Value {
    let shown = match name {
        NAME => "mlx-repl (Rhai)".to_string(),
        other => format!("mlx-repl (Rhai), {other}"),
    };
    let mut argv = vec![program.display().to_string()];
    argv.extend_from_slice(settings);
    argv.extend(["kernel", "run", "-f", "{connection_file}"].map(String::from));
    json!({
        "argv": argv,
        "display_name": shown,
        "language": "rhai",
        // A signal would reach this program's children too.
        "interrupt_mode": "message",
        "kernel_protocol_version": super::wire::PROTOCOL,
        "metadata": {"debugger": false},
    })
}

/// Removes what [`install`] wrote; the folder.
///
/// # Errors
/// A kernel that is not there, or is another program's.
pub fn uninstall(place: &Place, name: &str) -> Result<PathBuf> {
    let folder = place.folder(name)?;
    let file = folder.join("kernel.json");
    let text = std::fs::read_to_string(&file).map_err(Error::io(&file))?;
    let found: Value = serde_json::from_str(&text).unwrap_or_default();
    let words = found["argv"].as_array().map_or(&[][..], Vec::as_slice);
    if found["language"] != "rhai" || !words.contains(&"kernel".into()) {
        return Err(Error::file(
            &file,
            "not a kernel of mlx-repl; nothing was removed",
        ));
    }
    std::fs::remove_dir_all(&folder).map_err(Error::io(&folder))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_folder() {
        let place = Place::Prefix("/opt/env".into());
        let folder = place.folder("mlx-repl").unwrap();
        assert_eq!(folder, Path::new("/opt/env/share/jupyter/kernels/mlx-repl"));
        for name in ["", "..", "a/b", "a b", ".hidden"] {
            assert!(place.folder(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_description_starts_this_program() {
        let found = description(Path::new("/bin/mlx-repl"), NAME, &[]);
        assert_eq!(found["argv"][0], "/bin/mlx-repl");
        assert_eq!(found["argv"][4], "{connection_file}");
        assert_eq!(found["interrupt_mode"], "message");
        let cpu = description(Path::new("/bin/mlx-repl"), NAME, &["--device=cpu".into()]);
        assert_eq!(cpu["argv"][1], "--device=cpu");
        assert_eq!(cpu["argv"][2], "kernel");
    }
}
