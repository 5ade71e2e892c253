//! The two pieces between MLX and Rust: the C interface as a static library, and its declarations.

use crate::Outcome;
use crate::shell::{output, step};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

const HALF: &str = include_str!("../native/half.h");
const FORMAT: &str = include_str!("../native/format.h");
const HOST: &str = include_str!("../native/host.cpp");

#[path = "../native/fingerprint.rs"]
mod fingerprint;

/// Names the content of what [`compile_host`] compiles.
pub fn host_key() -> String {
    fingerprint::fingerprint(&[HOST, HALF, FORMAT])
}

/// What both pieces are made from: MLX's folder and mlx-c's source.
pub struct Pieces<'a> {
    pub mlx: &'a Path,
    pub c_source: &'a Path,
}

/// Makes a folder under another name and renames it when `work` is done.
pub fn make_aside(home: &Path, work: impl FnOnce(&Path) -> Outcome) -> Outcome {
    let aside = home.with_extension("partial");
    let fail = |e: std::io::Error| format!("{}: {e}", aside.display());
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(fail)?;
    }
    fs::create_dir_all(&aside).map_err(fail)?;
    work(&aside)?;
    fs::rename(&aside, home).map_err(fail)
}

/// `libmlxc.a` from the sources that mlx-sys carries.
pub fn compile_c_interface(pieces: &Pieces, home: &Path) -> Outcome {
    if home.is_dir() {
        return Ok(());
    }
    let sources = files(&pieces.c_source.join("mlx/c"), "cpp")?;
    let name = format!("mlx-c, {} files", sources.len());
    make_aside(home, |aside| {
        step(&name, || archive(pieces, sources, &aside.join("libmlxc.a")))
    })
}

/// `libmlxhost.a`: the nodes of MLX's graph that Rust functions compute.
pub fn compile_host(pieces: &Pieces, home: &Path) -> Outcome {
    if home.is_dir() {
        return Ok(());
    }
    make_aside(home, |aside| {
        let source = aside.join("host.cpp");
        fs::write(&source, HOST).map_err(|e| e.to_string())?;
        let library = aside.join("libmlxhost.a");
        step("host.cpp", || archive(pieces, vec![source], &library))
    })
}

/// Compiles sources to a static library, objects beside it.
fn archive(pieces: &Pieces, sources: Vec<PathBuf>, library: &Path) -> Outcome {
    let compiler = compiler()?;
    let aside = library.parent().unwrap_or(library);
    fs::write(aside.join("half.h"), HALF).map_err(|e| e.to_string())?;
    fs::write(aside.join("format.h"), FORMAT).map_err(|e| e.to_string())?;
    compile_all(pieces, &compiler, sources, aside)?;
    let mut archive = Command::new("ar");
    archive.arg("crs").arg(library).args(files(aside, "o")?);
    output(&mut archive).map(drop)
}

/// Compiles every source, one process for each core.
fn compile_all(pieces: &Pieces, compiler: &str, sources: Vec<PathBuf>, out: &Path) -> Outcome {
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get());
    let queue = Mutex::new(VecDeque::from(sources));
    let take = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    let work = || -> Outcome {
        while let Some(source) = take() {
            let object = out.join(source.file_stem().unwrap_or_default());
            let mut command = Command::new(compiler);
            command.args(["-std=c++20", "-O2", "-fPIC", "-w", "-c"]);
            command.arg("-include").arg(out.join("format.h"));
            command.arg("-I").arg(pieces.c_source);
            command.arg("-I").arg(pieces.mlx.join("include"));
            command.arg("-include").arg(out.join("half.h"));
            command.arg(&source);
            command.arg("-o").arg(object.with_extension("o"));
            output(&mut command)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err("a worker died".into()))
        })
    })
}

/// A C++ compiler that knows C++20.
fn compiler() -> Outcome<String> {
    let own = std::env::var("CXX").ok();
    let names = own
        .iter()
        .map(String::as_str)
        .chain(["c++", "g++", "clang++"]);
    for name in names {
        let mut probe = Command::new(name);
        probe.args(["-std=c++20", "-fsyntax-only", "-x", "c++", "/dev/null"]);
        if output(&mut probe).is_ok() {
            return Ok(name.to_string());
        }
    }
    Err(
        "a C++20 compiler is needed (gcc 11 or clang 14, or newer). Debian, Ubuntu: \
         `apt-get install g++`; Fedora: `dnf install gcc-c++`; or name one with CXX"
            .into(),
    )
}

/// `bindings.rs`, with the options of mlx-sys's own `bindgen_config.rs`.
pub fn generate_bindings(pieces: &Pieces, libclang: &Path, home: &Path) -> Outcome {
    if home.is_dir() {
        return Ok(());
    }
    make_aside(home, |aside| {
        step("declarations for Rust", || {
            // SAFETY: no other thread runs here that could read the environment.
            unsafe { std::env::set_var("LIBCLANG_PATH", libclang) };
            let half = aside.join("half.h");
            fs::write(&half, HALF).map_err(|e| e.to_string())?;
            let builder = bindgen::Builder::default()
                .rust_target("1.73.0".parse().expect("a known Rust version"))
                .clang_arg(format!("-I{}", pieces.c_source.display()))
                .clang_args(["-include", &half.to_string_lossy()])
                .clang_args(system_headers())
                .blocklist_function("malloc")
                .blocklist_function("realloc");
            let bindings = files(&pieces.c_source.join("mlx/c"), "h")?
                .iter()
                .fold(builder, |b, header| b.header(header.to_string_lossy()))
                .generate()
                .map_err(|e| format!("bindgen: {e}"))?;
            bindings
                .write_to_file(aside.join("bindings.rs"))
                .map_err(|e| e.to_string())
        })
    })
}

/// libclang's wheel brings no headers of its own (`stddef.h` and such); the C compiler's serve.
fn system_headers() -> Vec<String> {
    output(Command::new("cc").arg("-print-file-name=include"))
        .map(|path| vec!["-isystem".to_string(), path.trim().to_string()])
        .unwrap_or_default()
}

/// The files of a folder with an extension, in order.
fn files(folder: &Path, extension: &str) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    Ok(found)
}
