//! Arguments and exit codes.

mod doctor;
#[cfg(feature = "kernel")]
mod kernel;
mod run;
mod shell;

use crate::mlx::{device, interrupt, random};
use crate::repl;
use crate::script::docs::Index;
use crate::script::{Host, explain};
use crate::session::{Failure, Kind, Session};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the program answers to whoever started it.
const SUCCESS: i32 = 0;
const SCRIPT_ERROR: i32 = 1;
const INTERRUPTED: i32 = 130;
/// As shells say of a program that SIGTERM ended.
const ENDED: i32 = 143;

/// The chat is a script that a user can copy and change.
const CHAT: &str = include_str!("../../scripts/chat.rhai");

/// Deep recursion of a script needs more than a thread's usual stack.
const STACK: usize = 256 << 20;

#[derive(Parser)]
#[command(
    name = "mlx-repl",
    version,
    about = "Rhai scripts over MLX: post-train small language models on your own machine"
)]
struct Args {
    /// Where to compute: cpu or gpu
    #[arg(long, global = true)]
    device: Option<String>,
    /// Seed of everything random that has no seed of its own
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// Say more on standard error; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Do not run `~/.config/mlx-repl/init.rhai` before the first prompt
    #[arg(long, global = true)]
    no_init: bool,
    /// Evaluate an expression and show its value
    #[arg(short, value_name = "EXPR", allow_hyphen_values = true)]
    expression: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a script
    Run {
        /// Stay at the prompt afterwards, with the script's variables
        #[arg(short, long, conflicts_with = "watch")]
        interactive: bool,
        /// Run it again whenever it, or a script that it imports, has changed
        #[arg(short, long)]
        watch: bool,
        /// The script; - is standard input
        file: PathBuf,
        /// What the script gets as the list `args`
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Compile scripts without running them
    Check {
        /// The scripts
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Chat with a model
    Chat {
        /// A folder in Hugging Face layout, a .gguf file, or an id of the hub (Qwen/Qwen3-0.6B)
        model: String,
    },
    /// Explain a function, a module or a type; without a name, list what there is
    Doc {
        /// For example `softmax`, `mx::softmax`, `Tensor`, `rl`
        name: Option<String>,
    },
    /// Show device, MLX version, BLAS and memory
    Doctor,
    /// Be the kernel of a Jupyter notebook
    #[cfg(feature = "kernel")]
    #[command(subcommand)]
    Kernel(kernel::Kernel),
    /// Write what a shell needs to complete this program's arguments to standard output
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Write the manual page to standard output
    Man,
}

/// Runs the program; its exit code.
pub fn main() -> i32 {
    device::prepare();
    let args = Args::parse_from(with_run(std::env::args_os().collect()));
    if args.expression.is_some() && args.command.is_some() {
        let message = "`-e EXPR` stands alone, without a subcommand";
        let mut command = Args::command();
        command.error(ErrorKind::ArgumentConflict, message).exit();
    }
    start_log(args.verbose);
    if !is_kernel(args.command.as_ref()) {
        catch_signals();
    }
    // One thread owns the engine, the scope and MLX.
    let worker = std::thread::Builder::new()
        .name("session".into())
        .stack_size(STACK)
        .spawn(move || dispatch(args));
    match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(_)) => SCRIPT_ERROR,
        Err(error) => {
            eprintln!("error: cannot start a thread: {error}");
            SCRIPT_ERROR
        }
    }
}

/// The words of the command line; `FILE.rhai` as the first of them means `run FILE.rhai`.
fn with_run(mut words: Vec<OsString>) -> Vec<OsString> {
    let is_script = |word: &OsString| Path::new(word).extension().is_some_and(|e| e == "rhai");
    if words.get(1).is_some_and(is_script) {
        words.insert(1, "run".into());
    }
    words
}

fn dispatch(args: Args) -> i32 {
    let prepared = args.device.as_deref().map_or(Ok(()), device::select);
    let prepared = prepared.and_then(|()| args.seed.map_or(Ok(()), random::seed));
    if let Err(error) = prepared {
        return report(&error);
    }
    match (args.command, args.expression) {
        (_, Some(expression)) => evaluate(&expression),
        (
            Some(Command::Run {
                interactive,
                watch,
                file,
                args: words,
            }),
            _,
        ) => match (interactive, watch) {
            (true, _) => run::then_prompt(&file, words),
            (_, true) => run::whenever_it_changes(&file, words),
            _ => run::once(&file, words),
        },
        (Some(Command::Chat { model }), _) => run::text("scripts/chat.rhai", CHAT, vec![model]),
        (Some(Command::Check { files }), _) => check(&files),
        (Some(Command::Doc { name }), _) => doc(name.as_deref()),
        #[cfg(feature = "kernel")]
        (Some(Command::Kernel(command)), _) => {
            kernel::run(command, args.device.as_deref(), args.seed)
        }
        (Some(Command::Doctor), _) => match doctor::report() {
            Ok(text) => {
                print(&text);
                SUCCESS
            }
            Err(error) => report(&error),
        },
        (Some(Command::Completions { shell }), _) => shell::completions(shell),
        (Some(Command::Man), _) => shell::manual(),
        (None, None) if std::io::stdin().is_terminal() => run::prompt(args.no_init),
        (None, None) => {
            let mut text = String::new();
            match std::io::stdin().read_to_string(&mut text) {
                Ok(_) => run::text("<stdin>", &text, Vec::new()),
                Err(error) => {
                    eprintln!("error: standard input: {error}");
                    SCRIPT_ERROR
                }
            }
        }
    }
}

/// A host that prints to standard output and shows runs on standard error.
fn host(args: Vec<String>) -> Host {
    let mut host = Host::quiet(Rc::new(print));
    host.observer = Rc::new(repl::observer);
    host.download = Rc::new(repl::download);
    host.write = Rc::new(write);
    host.input = Rc::new(repl::input);
    host.display = Rc::new(|_, shown| print(&shown.to_text(&repl::screen())));
    host.tell = Rc::new(tell);
    host.args = args;
    host
}

/// Sentences, broken where they do not fit into a terminal.
fn tell(text: &str) {
    match std::io::stdout().is_terminal() {
        true => print(&repl::wrapped(text, repl::screen().columns)),
        false => print(text),
    }
}

fn print(text: &str) {
    write(&format!("{text}\n"));
}

/// A closed pipe, as of `| head`, ends the program quietly; a full disk does not.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(SUCCESS),
        Err(error) => {
            eprintln!("error: standard output: {error}");
            std::process::exit(SCRIPT_ERROR)
        }
    }
}

fn evaluate(expression: &str) -> i32 {
    match Session::new(host(Vec::new())).cell(expression) {
        Ok(outcome) => {
            if let Some(shown) = outcome.shown {
                print(&shown.to_text(&repl::screen()));
            }
            SUCCESS
        }
        Err(failure) => fail(&failure),
    }
}

fn doc(name: Option<&str>) -> i32 {
    let session = Session::new(host(Vec::new()));
    let index = Index::new(session.engine());
    match name.map_or_else(|| Ok(index.overview()), |name| explain(&index, name)) {
        Ok(text) => {
            tell(&text);
            SUCCESS
        }
        Err(error) => report(&error),
    }
}

fn check(files: &[PathBuf]) -> i32 {
    let mut session = Session::new(host(Vec::new()));
    let mut code = SUCCESS;
    for file in files {
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => {
                if let Err(failure) = session.check(&name, &text) {
                    code = fail(&failure);
                }
            }
            Err(error) => {
                eprintln!("error: {name}: {error}");
                code = SCRIPT_ERROR;
            }
        }
    }
    code
}

fn fail(failure: &Failure) -> i32 {
    if let Kind::Exit(code) = failure.kind {
        return code;
    }
    eprintln!("{}", repl::error_text(failure, &repl::error_screen()));
    match failure.kind {
        Kind::Interrupted => INTERRUPTED,
        _ => SCRIPT_ERROR,
    }
}

fn report(error: &crate::Error) -> i32 {
    eprintln!("error: {error}");
    SCRIPT_ERROR
}

/// Whether a notebook is served: the kernel ends at a signal, and does that in its own order.
fn is_kernel(command: Option<&Command>) -> bool {
    match command {
        #[cfg(feature = "kernel")]
        Some(Command::Kernel(kernel::Kernel::Run { .. })) => true,
        _ => false,
    }
}

/// How soon after a warning another Ctrl-C means that it was understood.
const UNDERSTOOD: Duration = Duration::from_secs(3);

/// The first Ctrl-C asks the script to stop. One more warns, and one soon after it ends the program.
fn catch_signals() {
    static WARNED: Mutex<Option<Instant>> = Mutex::new(None);
    let handler = || {
        if interrupt::is_lent() {
            return;
        }
        // At the prompt Ctrl-C is a key: this one comes from outside.
        if interrupt::is_idle() {
            restore_terminal();
            std::process::exit(ENDED);
        }
        let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
        if !interrupt::is_set() {
            *warned = None;
            interrupt::set();
            return;
        }
        if warned.is_some_and(|at| at.elapsed() < UNDERSTOOD) {
            restore_terminal();
            std::process::exit(INTERRUPTED);
        }
        *warned = Some(Instant::now());
        eprintln!(
            "\n(it stops at the next safe point, which an operation of MLX may be long in reaching; Ctrl-C \
             again within {} seconds ends mlx-repl at once, with all that is not saved)",
            UNDERSTOOD.as_secs()
        );
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        eprintln!("warning: Ctrl-C cannot be caught: {error}");
    }
}

/// The editor reads keys one by one and unseen; whoever ends the program under it leaves that to nobody.
fn restore_terminal() {
    if std::io::stdin().is_terminal() {
        let _ = std::process::Command::new("stty").arg("sane").status();
    }
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}
