//! How long a cell takes, with everything computed that it asks for.

use super::parts::{Part, parts};
use super::{Failure, Outcome, Session};
use crate::mlx::{self, memory};
use crate::script::tensors_in;
use rhai::{Dynamic, EvalAltResult};
use std::time::Instant;

/// A cell that was timed.
pub struct Timed {
    pub outcome: Outcome,
    pub seconds: f64,
    /// The most memory that arrays had meanwhile, in bytes.
    pub peak: usize,
}

/// Runs of one cell.
pub struct Runs {
    /// Seconds of each run.
    pub seconds: Vec<f64>,
}

impl Runs {
    /// Mean and sample deviation of the seconds.
    pub fn mean_and_std(&self) -> (f64, f64) {
        crate::train::mean_and_std(&self.seconds)
    }

    /// Seconds of the shortest run.
    pub fn best(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Seconds that runs take together, about.
const ENOUGH: f64 = 1.0;
const MOST_RUNS: usize = 100_000;
const FEWEST_RUNS: usize = 3;

impl Session {
    /// Evaluates a cell, and computes what it leaves to be computed later: its value, and every
    /// variable.
    ///
    /// # Errors
    /// Those of the cell.
    pub fn time(&mut self, source: &str) -> Result<Timed, Failure> {
        let name = self.next_cell(source);
        // What earlier cells have left is not this one's work.
        self.force(&Dynamic::UNIT)
            .map_err(|e| self.failure(&name, &e))?;
        // Without the count of MLX there is a time still.
        let _ = memory::reset_peak();
        let start = Instant::now();
        let value = self.eval(&name, source)?;
        self.force(&value).map_err(|e| self.failure(&name, &e))?;
        let seconds = start.elapsed().as_secs_f64();
        let peak = memory::memory().map(|memory| memory.peak).unwrap_or(0);
        Ok(Timed {
            outcome: self.outcome(&name, source, value)?,
            seconds,
            peak,
        })
    }

    /// Runs a cell again and again for about a second. What it binds is forgotten after each run.
    ///
    /// # Errors
    /// Those of the cell.
    pub fn time_many(&mut self, source: &str) -> Result<Runs, Failure> {
        let name = self.next_cell(source);
        let before = self.scope.len();
        let constants = self.host.names.borrow().constants.clone();
        // The first run finds the faults and warms the caches.
        let runs = self.eval_kept(&name, source).and_then(|value| {
            let forced = self.force(&value);
            self.scope.rewind(before);
            let runs = forced.and_then(|()| self.runs(&name, source));
            runs.map_err(|error| self.failure(&name, &error))
        });
        self.scope.rewind(before);
        self.host.names.borrow_mut().constants = constants;
        runs
    }

    fn runs(&mut self, name: &str, source: &str) -> Result<Runs, Box<EvalAltResult>> {
        let mut ast = self.engine.compile(source)?;
        ast.set_source(name);
        let statements = parts(&ast).into_iter().filter_map(|part| match part {
            Part::Statements { ast, .. } => Some(ast),
            Part::Import { .. } => None,
        });
        let statements: Vec<_> = statements.collect();
        let before = self.scope.len();
        let mut seconds = Vec::new();
        let mut total = 0.0;
        while seconds.len() < FEWEST_RUNS || (total < ENOUGH && seconds.len() < MOST_RUNS) {
            let start = Instant::now();
            for ast in &statements {
                let (value, _) = self.run(ast, true)?;
                self.force(&value)?;
            }
            let took = start.elapsed().as_secs_f64();
            self.scope.rewind(before);
            seconds.push(took);
            total += took;
        }
        Ok(Runs { seconds })
    }

    fn force(&self, value: &Dynamic) -> Result<(), Box<EvalAltResult>> {
        let mut arrays = tensors_in(value);
        for (_, _, value) in self.scope.iter_raw() {
            arrays.extend(tensors_in(value));
        }
        compute(&arrays)
    }
}

fn compute(arrays: &[mlx::Array]) -> Result<(), Box<EvalAltResult>> {
    mlx::eval(arrays).map_err(|error| error.to_string().into())
}
