//! `mlx-repl kernel`: a notebook's kernel, and where Jupyter finds it.

use super::{SUCCESS, print, report};
use crate::error::Result;
use crate::kernel::spec::{self, NAME, Place};
use crate::kernel::{self, Connection, Notebook};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum Kernel {
    /// Tell Jupyter of this program
    Install(Spec),
    /// Let Jupyter forget it
    Uninstall(Spec),
    /// Serve a notebook; Jupyter calls this
    Run {
        /// The connection file
        #[arg(short = 'f', long = "connection-file", value_name = "FILE")]
        connection: PathBuf,
    },
}

/// Which kernel, and where.
#[derive(Args)]
pub struct Spec {
    /// Among the kernels of the user, as it is without --prefix
    #[arg(long, conflicts_with = "prefix")]
    user: bool,
    /// Among the kernels of an environment: the folder of a venv
    #[arg(long, value_name = "FOLDER")]
    prefix: Option<PathBuf>,
    /// Under another name
    #[arg(long, default_value = NAME)]
    name: String,
}

impl Spec {
    fn place(&self) -> Place {
        self.prefix.clone().map_or(Place::User, Place::Prefix)
    }
}

/// Runs the command; the exit code. A device and a seed that `install` gets are those of the kernel.
pub fn run(command: Kernel, device: Option<&str>, seed: Option<u64>) -> i32 {
    let done = match command {
        Kernel::Install(spec) => installed(&spec, &settings(device, seed)),
        Kernel::Uninstall(spec) => uninstalled(&spec),
        Kernel::Run { connection } => serve(&connection),
    };
    done.map_or_else(|error| report(&error), |()| SUCCESS)
}

/// The arguments that say so.
fn settings(device: Option<&str>, seed: Option<u64>) -> Vec<String> {
    let device = device.map(|device| format!("--device={device}"));
    let seed = seed.map(|seed| format!("--seed={seed}"));
    device.into_iter().chain(seed).collect()
}

fn installed(spec: &Spec, settings: &[String]) -> Result<()> {
    let folder = spec::install(&spec.place(), &spec.name, settings)?;
    print(&format!("kernel `{}`: {}", spec.name, folder.display()));
    Ok(())
}

fn uninstalled(spec: &Spec) -> Result<()> {
    let folder = spec::uninstall(&spec.place(), &spec.name)?;
    print(&format!("removed {}", folder.display()));
    Ok(())
}

fn serve(connection: &Path) -> Result<()> {
    let connection = Connection::read(connection)?;
    kernel::run(&connection, Notebook::new)
}
