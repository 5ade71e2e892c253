//! The kernel in the hands of Jupyter itself, from PyPI.

use crate::client::root;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What is installed.
const PACKAGES: [&str; 4] = [
    "jupyter_client==8.10.0",
    "jupyter_kernel_test==0.7.0",
    "nbclient==0.11.0",
    "nbformat==5.11.1",
];

/// What pip says where there is no way to PyPI.
const NO_WAY: [&str; 4] = [
    "NewConnectionError",
    "ConnectionError",
    "No matching distribution",
    "Could not find a version",
];

/// Runs a program for so many seconds at most.
const LIMITED: &str = "\
import subprocess, sys
sys.exit(subprocess.run(sys.argv[2:], timeout=float(sys.argv[1])).returncode)";
const LIMIT: &str = "600";

/// Native work that goes on for minutes.
const NATIVE: &str = "\
    let t = lm::char_tokenizer(\"0123456789\"); \
    let m = lm::qwen3(#{ hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 2 }, \
                      #{ seed: 1, tokenizer: t }); \
    loop { m.generate(\"1\", #{ max_tokens: 400, stop_token_ids: [] }); }";

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

/// The Python of an environment with Jupyter in it, made once; or why there is none.
fn python() -> Result<PathBuf, String> {
    let folder = root().join("target/jupyter");
    let python = folder.join("bin/python");
    let ready = folder.join("ready");
    let wanted = PACKAGES.join(" ");
    if std::fs::read_to_string(&ready).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    let made = Command::new("python3")
        .args(["-m", "venv"])
        .arg(&folder)
        .output();
    let made = made.map_err(|error| format!("python3: {error}"))?;
    if !made.status.success() {
        return Err(format!("python3 -m venv: {}", text(&made)));
    }
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    let installed = Command::new(&python)
        .args(pip)
        .args(PACKAGES)
        .output()
        .unwrap();
    if !installed.status.success() {
        let said = text(&installed);
        let is_offline = NO_WAY.iter().any(|words| said.contains(words));
        assert!(is_offline, "pip: {said}");
        return Err(format!("PyPI cannot be reached: {said}"));
    }
    std::fs::write(ready, wanted).unwrap();
    Ok(python)
}

fn kernel_command(command: &str, prefix: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mlx-repl"))
        .args(["kernel", command, "--prefix"])
        .arg(prefix)
        .output()
        .unwrap()
}

#[test]
fn jupyter_is_content() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            let said = format!("SKIPPED: the kernel is not tested with Jupyter: {reason}\n");
            // Not by `eprintln`, which is shown of tests that fail only.
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            return;
        }
    };
    let prefix = tempfile::tempdir().unwrap();
    let installed = kernel_command("install", prefix.path());
    assert!(installed.status.success(), "{}", text(&installed));
    // A debug build is slow, and so is a machine that builds at the same time.
    let (prompt, print) = match cfg!(debug_assertions) {
        true => ("5", "5"),
        false => ("0.5", "1"),
    };
    // Then the notebook keeps what it shows now.
    let writes = std::env::var("UPDATE_SNAPSHOTS").is_ok_and(|on| on == "1");
    for script in ["conformance.py", "checks.py", "notebook.py"] {
        let path = root().join("tests/kernel").join(script);
        let ran = Command::new(&python)
            .args(["-c", LIMITED, LIMIT])
            .arg(&python)
            .arg(path)
            .args(
                writes
                    .then_some("--write")
                    .filter(|_| script == "notebook.py"),
            )
            .current_dir(root())
            .env("JUPYTER_PATH", prefix.path().join("share/jupyter"))
            .env("NATIVE", NATIVE)
            .env("PROMPT_SECONDS", prompt)
            .env("PRINT_SECONDS", print)
            .output()
            .unwrap();
        eprintln!("{script}:\n{}", text(&ran));
        assert!(ran.status.success(), "{script}");
    }
}

#[test]
fn a_kernel_is_installed_and_removed() {
    let prefix = tempfile::tempdir().unwrap();
    let folder = prefix.path().join("share/jupyter/kernels/mlx-repl");
    assert!(kernel_command("install", prefix.path()).status.success());
    let description = std::fs::read_to_string(folder.join("kernel.json")).unwrap();
    assert!(
        description.contains(env!("CARGO_BIN_EXE_mlx-repl")),
        "{description}"
    );
    assert!(folder.join("logo-svg.svg").exists());
    assert!(kernel_command("uninstall", prefix.path()).status.success());
    assert!(!folder.exists());
    let again = kernel_command("uninstall", prefix.path());
    assert_eq!(again.status.code(), Some(1));

    // What it is to compute with is in its command line.
    let settings = ["kernel", "install", "--device", "cpu", "--seed", "7"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlx-repl"));
    command.args(settings).arg("--prefix").arg(prefix.path());
    assert!(command.status().unwrap().success());
    let description = std::fs::read_to_string(folder.join("kernel.json")).unwrap();
    let description: serde_json::Value = serde_json::from_str(&description).unwrap();
    let words = ["--device=cpu", "--seed=7", "kernel", "run"];
    let argv = description["argv"].as_array().unwrap();
    assert_eq!(argv[1..5], words.map(serde_json::Value::from));
    assert!(kernel_command("uninstall", prefix.path()).status.success());

    // What another program keeps there is left alone.
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("kernel.json"), "{\"language\": \"python\"}").unwrap();
    let refused = kernel_command("uninstall", prefix.path());
    assert_eq!(refused.status.code(), Some(1));
    assert!(folder.join("kernel.json").exists());
}
