//! The program `mlx-repl`; `mlx_repl::cli` is all of it.

fn main() {
    std::process::exit(mlx_repl::cli::main());
}
