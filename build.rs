//! Tells the linker where `cargo xtask setup` put the MLX library, so that binaries, tests and
//! benches find it at run time without an environment variable.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Written as `runtime_path` in .cargo/mlx-native.toml; absent on macOS, where MLX is static.
    if let Ok(path) = std::env::var("DEP_MLX_RUNTIME_PATH") {
        for folder in path.split(':') {
            println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
        }
    }
}
