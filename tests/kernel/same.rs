//! The prompt and the notebook are one session: the same values, the same errors.

use crate::client::{Kernel, root};
use std::path::Path;
use std::process::{Command, Output};

/// Scripts that take a moment only; the others run the same code.
const GOLDEN: [&str; 5] = ["tensors", "gradients", "rewards", "files", "generation"];

/// One of each kind.
const ERRORS: [&str; 8] = [
    "assert_eq",
    "bad_reshape",
    "broadcast",
    "called_by",
    "data_race",
    "index_outside",
    "module_with_a_dot",
    "ragged_tensor",
];

fn program(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlx-repl"));
    command.args(args).current_dir(root()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn golden_scripts_run_in_both() {
    for name in GOLDEN {
        let path = format!("tests/golden/{name}.rhai");
        let folder = tempfile::tempdir().unwrap();
        let prompt = program(&["run", &path, "--", &folder.path().display().to_string()]);
        assert!(prompt.status.success(), "{}", text(&prompt.stderr));

        let folder = tempfile::tempdir().unwrap();
        let mut kernel = Kernel::start();
        kernel.run(&format!("const args = [`{}`];", folder.path().display()));
        let code = std::fs::read_to_string(root().join(&path)).unwrap();
        let notebook = kernel.run(&code);
        assert_eq!(
            notebook.reply["status"], "ok",
            "{name}: {:?}",
            notebook.reply
        );
        assert_eq!(notebook.text(), text(&prompt.stdout), "{name}");
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

#[test]
fn errors_read_the_same() {
    let mut kernel = Kernel::start();
    for (i, name) in ERRORS.iter().enumerate() {
        let path = format!("tests/errors/{name}.rhai");
        assert!(Path::new(&root().join(&path)).exists(), "{path}");
        let prompt = text(&program(&["run", &path]).stderr);
        let code = std::fs::read_to_string(root().join(&path)).unwrap();
        let notebook = kernel.run(&code).error();
        let notebook = notebook.replace(&format!("cell[{}]", i + 1), &path);
        assert_eq!(notebook.trim_end(), prompt.trim_end(), "{name}");
    }
}
