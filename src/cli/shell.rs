//! What a shell and `man` read about this program, made from the same table as `--help`.

use super::{Args, SCRIPT_ERROR, SUCCESS};
use clap::CommandFactory;
use std::io::Write;

/// Completions of the arguments.
pub fn completions(shell: clap_complete::Shell) -> i32 {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "mlx-repl", &mut text);
    write(&text)
}

/// The manual page, with one section for each subcommand.
pub fn manual() -> i32 {
    let mut text = Vec::new();
    let rendered = clap_mangen::Man::new(Args::command()).render(&mut text);
    let subcommands = Args::command();
    let rendered = subcommands
        .get_subcommands()
        .fold(rendered, |so_far, command| {
            so_far?;
            let title = format!("mlx-repl {}", command.get_name()).to_uppercase();
            writeln!(text, ".SH \"{title}\"")?;
            let man = clap_mangen::Man::new(command.clone());
            man.render_description_section(&mut text)?;
            man.render_options_section(&mut text)
        });
    match rendered {
        Ok(()) => write(&text),
        Err(error) => {
            eprintln!("error: the manual page: {error}");
            SCRIPT_ERROR
        }
    }
}

/// A reader that has seen enough, as `head` has, is no error.
fn write(text: &[u8]) -> i32 {
    let _ = std::io::stdout().write_all(text);
    SUCCESS
}
