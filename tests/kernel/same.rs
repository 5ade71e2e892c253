//! The prompt and the notebook are one session: the same values, the same errors.

use crate::client::{Kernel, root};
use std::process::{Command, Output};

/// Scripts of a folder, in order.
fn scripts(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let scripts = paths.filter(|path| path.extension().is_some_and(|kind| kind == "rhai"));
    let mut names: Vec<String> = scripts
        .map(|path| format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap()))
        .collect();
    names.sort();
    assert!(names.len() > 10, "{folder}: {names:?}");
    names
}

fn program(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlx-repl"));
    command.args(args).current_dir(root()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn golden_scripts_run_in_both() {
    for path in scripts("tests/golden") {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display().to_string();
        let prompt = program(&["run", &path, "--", &place]);
        assert!(prompt.status.success(), "{}", text(&prompt.stderr));

        let other = tempfile::tempdir().unwrap();
        let mut kernel = Kernel::start();
        kernel.run(&format!("const args = [`{}`];", other.path().display()));
        let code = std::fs::read_to_string(root().join(&path)).unwrap();
        let notebook = kernel.run(&code);
        let reply = &notebook.reply;
        assert_eq!(reply["status"], "ok", "{path}: {reply:?}");
        let shown = notebook.text();
        let shown = shown.replace(&other.path().display().to_string(), &place);
        assert_eq!(shown, text(&prompt.stdout), "{path}");
    }
}

#[test]
fn values_look_the_same() {
    let mut kernel = Kernel::start();
    for code in [
        "6 * 7",
        "1.0 / 3.0",
        "[1, #{ a: \"b\" }, ()]",
        "\"é\"",
        "tensor([[1, 2], [3, 4]]) * 0.5",
        "mx::arange(0, 1000, 1)",
        "plot::line([1.0, 3.0, 2.0])",
        "[#{ a: 1, b: \"x\" }, #{ a: 2 }]",
    ] {
        let prompt = program(&["-e", code]);
        let shown = kernel.run(code).value().map(str::to_string);
        assert_eq!(
            shown.unwrap_or_default() + "\n",
            text(&prompt.stdout),
            "{code}"
        );
    }
}

/// The program's own errors are in the files beside the scripts (`tests/scripts/errors.rs`).
#[test]
fn errors_read_the_same() {
    for path in scripts("tests/errors") {
        let code = std::fs::read_to_string(root().join(&path)).unwrap();
        let notebook = Kernel::start().run(&code).error();
        let shown = notebook
            .replace("cell[1]", &path)
            .replace(&root().display().to_string(), "ROOT");
        let snapshot = root().join(&path).with_extension("txt");
        let prompt = std::fs::read_to_string(snapshot).unwrap();
        assert_eq!(shown.trim_end(), prompt.trim_end(), "{path}");
    }
}
