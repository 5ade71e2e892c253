//! One engine and one living scope: what every front end evaluates against.
//!
//! Rhai binds a closure to the program that it stands in. So that functions and closures work
//! across cells, each cell's functions become a module of their own, and its statements run
//! against the scope: errors keep their cell and line, and a function defined again is the new one
//! for everybody.

mod complete;
mod failure;
mod files;
mod inspect;
mod mime;
mod names;
mod parts;

pub use complete::{Completeness, completeness};
pub use failure::{Failure, Kind};
pub use mime::bundle;

use crate::mlx::interrupt;
use crate::script::{self, Host};
use parts::{Part, parts};
use rhai::{AST, Dynamic, Engine, EvalAltResult, Module, Scope};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A session: values, functions and sources of everything that was evaluated.
pub struct Session {
    engine: Engine,
    scope: Scope<'static>,
    host: Host,
    /// Texts by name, for error messages.
    sources: HashMap<String, String>,
    cells: usize,
    loaded: Vec<files::Loaded>,
}

/// The result of a cell.
pub struct Outcome {
    pub value: Dynamic,
    /// The value as the prompt shows it; `None` for nothing, and after a closing `;`.
    pub shown: Option<String>,
}

impl Session {
    /// An empty session.
    pub fn new(host: Host) -> Self {
        let args: rhai::Array = host.args.iter().map(|word| word.as_str().into()).collect();
        let mut names = host.names.borrow_mut();
        names.constants.insert("args".into(), args.into());
        drop(names);
        Self {
            engine: script::engine(host.clone()),
            scope: Scope::new(),
            host,
            sources: HashMap::new(),
            cells: 0,
            loaded: Vec::new(),
        }
    }

    /// The engine, for completion and help.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Names of the variables.
    pub fn variables(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .scope
            .iter_raw()
            .map(|(name, ..)| name.to_string())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Evaluates what was typed at a prompt. Its value becomes `ans`.
    pub fn cell(&mut self, source: &str) -> Result<Outcome, Failure> {
        self.cells += 1;
        let name = format!("cell[{}]", self.cells);
        let mut value = self.eval(&name, source)?;
        if value.is_unit() {
            return Ok(Outcome { value, shown: None });
        }
        self.scope.set_or_push("ans", value.clone());
        let silent = source.trim_end().ends_with(';');
        let shown = match silent {
            true => None,
            false => Some(self.show(&name, &mut value)?),
        };
        Ok(Outcome { value, shown })
    }

    /// Evaluates a script. `name` is its path, or says where the text comes from.
    ///
    /// Variables bound before an error or an interrupt are kept.
    pub fn eval(&mut self, name: &str, source: &str) -> Result<Dynamic, Failure> {
        interrupt::clear();
        tracing::debug!(name, bytes = source.len(), "evaluate");
        self.sources.insert(name.to_string(), source.to_string());
        self.remember_script(name, source);
        let result = catch_unwind(AssertUnwindSafe(|| self.eval_parts(name, source)));
        self.compact();
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.failure(name, &error)),
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or(panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                Err(Failure::bug(text))
            }
        }
    }

    /// Compiles a script without running it.
    pub fn check(&mut self, name: &str, source: &str) -> Result<(), Failure> {
        self.sources.insert(name.to_string(), source.to_string());
        match self.engine.compile(source) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failure(name, &error.into())),
        }
    }

    fn show(&mut self, name: &str, value: &mut Dynamic) -> Result<String, Failure> {
        script::show(&self.engine, value).map_err(|error| self.failure(name, &error))
    }

    fn eval_parts(&mut self, name: &str, source: &str) -> Result<Dynamic, Box<EvalAltResult>> {
        let mut ast = self.engine.compile(source)?;
        ast.set_source(name);
        self.define_functions(&ast)?;
        let mut last = Dynamic::UNIT;
        let parts = parts(&ast);
        let count = parts.len();
        for (i, part) in parts.into_iter().enumerate() {
            match part {
                Part::Import { ast, alias } => {
                    self.import(ast, alias)?;
                    last = Dynamic::UNIT;
                }
                Part::Statements { ast, constant } => {
                    let (value, finished) = self.run(&ast, i + 1 == count)?;
                    if finished {
                        return Ok(value);
                    }
                    last = value;
                    if let Some(name) = constant {
                        self.export(name);
                    }
                }
            }
        }
        Ok(last)
    }

    /// Makes a cell's functions known to everything that is evaluated from now on.
    fn define_functions(&mut self, ast: &AST) -> Result<(), Box<EvalAltResult>> {
        if !ast.has_functions() {
            return Ok(());
        }
        let named = ast.iter_functions().map(|f| f.name.to_string());
        let named = named.filter(|name| !name.starts_with("anon$"));
        self.host.names.borrow_mut().functions.extend(named);
        let functions = ast.clone_functions_only();
        let module = Module::eval_ast_as_new(Scope::new(), &functions, &self.engine)?;
        self.engine.register_global_module(module.into());
        Ok(())
    }

    /// Runs statements; the value, and whether the script has returned before their end.
    fn run(&mut self, ast: &AST, is_last: bool) -> Result<(Dynamic, bool), Box<EvalAltResult>> {
        let value = self
            .engine
            .eval_ast_with_scope::<Dynamic>(&mut self.scope, ast)?;
        if is_last {
            return Ok((value, false));
        }
        // Every part but the last ends with a mark of its own: another value is that of a
        // `return` or an `exit`.
        let whole = value
            .read_lock::<rhai::ImmutableString>()
            .is_some_and(|text| text.as_str() == parts::MARK);
        Ok((value, !whole))
    }

    /// Makes a constant visible in functions, where Rhai does not look for it.
    fn export(&mut self, name: String) {
        if let Some(value) = self.scope.get_value::<Dynamic>(&name) {
            let mut names = self.host.names.borrow_mut();
            names.constants.insert(name, value);
        }
    }

    /// Forgets values that a later `let` of the same name hides: they may hold much memory.
    fn compact(&mut self) {
        let total = self.scope.len();
        let visible = self.variables().len();
        if visible < total {
            self.scope = self.scope.clone_visible();
        }
    }

    fn failure(&self, name: &str, error: &EvalAltResult) -> Failure {
        let hint = script::hint(&self.engine, error, &self.variables());
        Failure::of(name, error, &self.sources, hint)
    }
}
