//! `cargo xtask setup`: a ready MLX for Linux, where mlx-sys cannot build its own.
//!
//! MLX's authors publish the library and its headers as Python wheels. The set-up fetches one,
//! compiles the C interface that mlx-sys carries, generates the Rust declarations, and writes
//! `.cargo/mlx-native.toml`, by which Cargo uses the three instead of mlx-sys's build script
//! (<https://doc.rust-lang.org/cargo/reference/build-scripts.html#overriding-build-scripts>).
//! Each piece is made aside and renamed when it is whole, so an interruption leaves nothing half
//! done, and a piece that is there is not made again.

use crate::Outcome;
use crate::native::{self, Pieces};
use crate::shell::{cargo, output, root, step};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The MLX release under mlx-sys 0.7; `mlx_sys_source` holds the two together.
const MLX_VERSION: &str = "0.32.2";
const LIBCLANG: &str = "libclang==18.1.1";
const PYTHON_HELP: &str = "python3 with pip is needed to fetch MLX. Debian, Ubuntu: \
    `apt-get install python3-pip`; Fedora: `dnf install python3-pip`; or name an MLX installation \
    with MLX_REPL_MLX_DIR";

/// Makes native MLX ready for the backend (`auto`, `cpu`, `cuda12`, `cuda13`).
pub fn run(backend: &str) -> Outcome {
    if cfg!(target_os = "macos") {
        println!("macOS: nothing to set up, mlx-sys builds MLX with Metal by itself");
        return Ok(());
    }
    if !cfg!(target_os = "linux") {
        return Err("mlx-repl runs on Linux and macOS".into());
    }
    let own = std::env::var_os("MLX_REPL_MLX_DIR");
    let backend = match backend {
        // What was chosen before stays chosen.
        "auto" if own.is_none() && is_ready() => {
            println!("native MLX {MLX_VERSION} is ready");
            return Ok(());
        }
        "auto" => chosen_before().unwrap_or_else(detect),
        "cpu" | "cuda12" | "cuda13" => backend,
        other => {
            return Err(format!(
                "unknown backend `{other}`: use auto, cpu, cuda12 or cuda13"
            ));
        }
    };
    let source = step("cargo dependencies", mlx_sys_source)?;
    let base = root().join("native");
    fs::create_dir_all(&base).map_err(|e| format!("{}: {e}", base.display()))?;

    let (mlx, runtime, name) = match own {
        Some(dir) => {
            let dir = fs::canonicalize(&dir)
                .map_err(|e| format!("MLX_REPL_MLX_DIR={}: {e}", Path::new(&dir).display()))?;
            let lib = dir.join("lib");
            println!("MLX from {}", dir.display());
            (dir, vec![lib], format!("mlx-{MLX_VERSION}-own"))
        }
        None => wheel(&base, backend)?,
    };
    check_version(&mlx)?;

    let home = base.join(name);
    let pieces = Pieces {
        mlx: &mlx,
        c_source: &source,
    };
    native::compile_c_interface(&pieces, &home.join("mlxc"))?;
    native::compile_host(&pieces, &home.join(host_folder()))?;
    let clang = libclang(&base)?;
    native::generate_bindings(&pieces, &clang, &home.join("bindings"))?;
    write_override(&home, &mlx, &runtime)
}

/// Where the nodes of our own are compiled to: another folder when their source changes.
fn host_folder() -> String {
    format!("host-{}", native::host_key())
}

/// Whether an earlier set-up is in place: of this release, with everything where it says.
fn is_ready() -> bool {
    let Ok(text) = fs::read_to_string(override_file()) else {
        return false;
    };
    let quoted = text.split('"').skip(1).step_by(2);
    let mut paths = quoted
        .flat_map(|part| part.trim_start_matches("native=").split(':'))
        .filter(|part| part.starts_with('/'));
    let release = format!("mlx-{MLX_VERSION}-");
    text.contains(&release)
        && text.contains(&host_folder())
        && paths.all(|path| Path::new(path).exists())
}

/// The backend of an earlier set-up, which may lack what is compiled of ours.
fn chosen_before() -> Option<&'static str> {
    let text = fs::read_to_string(override_file()).ok()?;
    let is_in = |backend: &&str| text.contains(&format!("mlx-{MLX_VERSION}-{backend}/wheel"));
    ["cpu", "cuda12", "cuda13"].into_iter().find(is_in)
}

/// The file by which Cargo is told.
fn override_file() -> PathBuf {
    root().join(".cargo/mlx-native.toml")
}

/// CUDA where a driver is loaded that can run it, else the CPU.
fn detect() -> &'static str {
    let version = fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let major = version.split_whitespace().find_map(|word| {
        word.split_once('.')
            .and_then(|(m, _)| m.parse::<u32>().ok())
    });
    match major {
        Some(580..) => "cuda13",
        Some(525..) => "cuda12",
        _ => "cpu",
    }
}

/// Where Cargo unpacked mlx-sys, whose `src/mlx-c` is the C interface.
fn mlx_sys_source() -> Outcome<PathBuf> {
    let text = output(&mut cargo(&["metadata", "--format-version", "1"]))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    let manifest = json["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "mlx-sys")
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or("cargo metadata does not list mlx-sys")?;
    let source = Path::new(manifest).with_file_name("src").join("mlx-c");
    let cmake = fs::read_to_string(source.join("CMakeLists.txt")).unwrap_or_default();
    if !cmake.contains(&format!("v{MLX_VERSION}")) {
        return Err(format!(
            "this mlx-sys is not for MLX {MLX_VERSION}: bring MLX_VERSION in xtask/src/setup.rs in line"
        ));
    }
    Ok(source)
}

/// Fetches the wheel of a backend: its MLX folder, the folders of its libraries, and a name.
fn wheel(base: &Path, backend: &str) -> Outcome<(PathBuf, Vec<PathBuf>, String)> {
    let package = match backend {
        "cpu" => "mlx-cpu",
        "cuda12" => "mlx-cuda-12",
        _ => "mlx-cuda-13",
    };
    let name = format!("mlx-{MLX_VERSION}-{backend}");
    let home = base.join(&name).join("wheel");
    // The CPU wheel needs nothing else; the CUDA ones name NVIDIA's user libraries.
    let alone = backend == "cpu";
    pip(&format!("{package}=={MLX_VERSION}"), alone, &home)?;
    let mut runtime = vec![home.join("mlx/lib")];
    for vendor in fs::read_dir(home.join("nvidia")).into_iter().flatten() {
        let lib = vendor.map_err(|e| e.to_string())?.path().join("lib");
        if lib.is_dir() {
            runtime.push(lib);
        }
    }
    Ok((home.join("mlx"), runtime, name))
}

/// The folder of libclang, which bindgen loads.
fn libclang(base: &Path) -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("LIBCLANG_PATH") {
        return Ok(PathBuf::from(path));
    }
    let home = base.join("libclang-18.1.1");
    pip(LIBCLANG, true, &home)?;
    Ok(home.join("clang/native"))
}

/// Unpacks a wheel into `home`, which appears only when it is whole.
fn pip(package: &str, alone: bool, home: &Path) -> Outcome {
    if home.is_dir() {
        return Ok(());
    }
    let missing = |_| PYTHON_HELP.to_string();
    output(Command::new("python3").args(["-m", "pip", "--version"])).map_err(missing)?;
    native::make_aside(home, |aside| {
        step(package, || {
            let mut command = Command::new("python3");
            command.args(["-m", "pip", "install", "--quiet", "--no-input"]);
            command.args(["--disable-pip-version-check", "--no-compile"]);
            // pip also runs as root in containers and complains of it.
            command.args(["--root-user-action", "ignore", "--only-binary", ":all:"]);
            if alone {
                command.arg("--no-deps");
            }
            command.arg("--target").arg(aside).arg(package);
            output(&mut command).map(drop)
        })
    })
}

/// Refuses an MLX whose headers are of another release than the bindings.
fn check_version(mlx: &Path) -> Outcome {
    let header = mlx.join("include/mlx/version.h");
    let text = fs::read_to_string(&header).map_err(|e| {
        format!(
            "{}: {e}; an MLX installation has include/ and lib/ folders",
            header.display()
        )
    })?;
    let part = |name: &str| -> String {
        text.lines()
            .find_map(|line| line.strip_prefix(&format!("#define MLX_VERSION_{name} ")))
            .unwrap_or("?")
            .trim()
            .to_string()
    };
    let found = format!("{}.{}.{}", part("MAJOR"), part("MINOR"), part("PATCH"));
    if found == MLX_VERSION {
        Ok(())
    } else {
        Err(format!(
            "{} holds MLX {found}, and {MLX_VERSION} is needed",
            mlx.display()
        ))
    }
}

/// Tells Cargo to use the prepared pieces, unless it is told already.
fn write_override(home: &Path, mlx: &Path, runtime: &[PathBuf]) -> Outcome {
    let arch = std::env::consts::ARCH;
    let runtime: Vec<String> = runtime.iter().map(|p| p.display().to_string()).collect();
    let text = format!(
        "# Written by `cargo xtask setup`.\n\
         [target.{arch}-unknown-linux-gnu.mlx]\n\
         rustc-link-search = [\"native={home}/{folder}\", \"native={home}/mlxc\", \"native={mlx}/lib\"]\n\
         rustc-link-lib = [\"static=mlxhost\", \"static=mlxc\", \"dylib=mlx\", \"dylib=stdc++\"]\n\
         rustc-env = {{ OUT_DIR = \"{home}/bindings\" }}\n\
         runtime_path = \"{runtime}\"\n\
         host = \"{key}\"\n",
        home = home.display(),
        mlx = mlx.display(),
        runtime = runtime.join(":"),
        folder = host_folder(),
        key = native::host_key(),
    );
    let path = override_file();
    if fs::read_to_string(&path).is_ok_and(|old| old == text) {
        println!("native MLX {MLX_VERSION} is ready");
        return Ok(());
    }
    let aside = path.with_extension("partial");
    fs::write(&aside, &text)
        .and_then(|()| fs::rename(&aside, &path))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    println!("native MLX {MLX_VERSION} is ready: .cargo/mlx-native.toml");
    Ok(())
}
