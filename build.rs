//! Tells the linker where `cargo xtask setup` put the MLX library, so that binaries, tests and
//! benches find it at run time without an environment variable.

#[path = "xtask/native/fingerprint.rs"]
mod fingerprint;

/// What the set-up compiles of ours.
const SOURCES: [&str; 3] = [
    include_str!("xtask/native/host.cpp"),
    include_str!("xtask/native/half.h"),
    include_str!("xtask/native/format.h"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=xtask/native");
    // Written as `runtime_path` in .cargo/mlx-native.toml; absent on macOS, where MLX is static.
    if let Ok(path) = std::env::var("DEP_MLX_RUNTIME_PATH") {
        for folder in path.split(':') {
            println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
        }
        let compiled = std::env::var("DEP_MLX_HOST").unwrap_or_default();
        if compiled != fingerprint::fingerprint(&SOURCES) {
            println!(
                "cargo::error=the native set-up is older than these sources: run `cargo xtask setup`"
            );
        }
    }
}
