//! One engine and one living scope: what every front end evaluates against.
//!
//! Rhai binds a closure to the program that it stands in. So that functions and closures work
//! across cells, each cell's functions become a module of their own, and its statements run
//! against the scope: errors keep their cell and line, and a function defined again is the new one
//! for everybody.

mod ask;
mod complete;
mod context;
mod failure;
mod files;
mod held;
mod mime;
mod names;
mod parts;
mod paths;
mod spans;
mod timing;

pub use ask::asked;
pub use complete::{Completeness, completeness};
pub use failure::{Failure, Kind, coloured};
pub use held::Variable;
pub use mime::{bundle, pictures};
pub use paths::{complete as complete_path, expanded};
pub use spans::{Span, SpanKind, spans};
pub use timing::{Runs, Timed};

use crate::mlx::interrupt;
use crate::script::docs::Index;
use crate::script::{self, Host, Screen, Shown};
use parts::{Part, parts};
use rhai::{AST, Dynamic, Engine, EvalAltResult, Module, Scope};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// A session: values, functions and sources of everything that was evaluated.
pub struct Session {
    engine: Engine,
    scope: Scope<'static>,
    host: Host,
    /// Texts by name, for error messages.
    sources: HashMap<String, String>,
    cells: usize,
    /// The numbers of the cells that ended in an error.
    failed: BTreeSet<usize>,
    loaded: Vec<files::Loaded>,
    /// Where values are shown.
    pub screen: Screen,
    /// Whether an interrupt that came before an evaluation is forgotten; who does that for itself says no.
    pub clears_interrupts: bool,
    /// How many texts were evaluated that are no cells.
    asides: usize,
    /// Where each function of a cell or script was defined last.
    homes: HashMap<String, String>,
    /// Made when somebody asks, forgotten when a function or a module comes.
    index: RefCell<Option<Rc<Index>>>,
}

/// The result of a cell.
pub struct Outcome {
    pub value: Dynamic,
    /// The value as it is shown; `None` for nothing, and after a closing `;`.
    pub shown: Option<Shown>,
}

impl Session {
    /// An empty session.
    pub fn new(host: Host) -> Self {
        let args = host.args.clone();
        let mut session = Self {
            engine: script::engine(host.clone()),
            scope: Scope::new(),
            host,
            sources: HashMap::new(),
            cells: 0,
            failed: BTreeSet::new(),
            loaded: Vec::new(),
            screen: Screen::default(),
            clears_interrupts: true,
            asides: 0,
            homes: HashMap::new(),
            index: RefCell::default(),
        };
        session.set_args(args);
        session
    }

    /// What the next script finds in `args`.
    pub fn set_args(&mut self, args: Vec<String>) {
        let list: rhai::Array = args.iter().map(|word| word.as_str().into()).collect();
        let mut names = self.host.names.borrow_mut();
        names.constants.insert("args".into(), list.into());
    }

    /// The engine, for completion and help.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Everything that is documented, functions of the session among it.
    pub fn index(&self) -> Rc<Index> {
        let mut made = self.index.borrow_mut();
        let make = || Rc::new(Index::new(&self.engine));
        made.get_or_insert_with(make).clone()
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

    /// Evaluates what was typed at a prompt. Its value becomes `ans`, and `out(n)` of the cell's number.
    ///
    /// # Errors
    /// Those of the cell.
    pub fn cell(&mut self, source: &str) -> Result<Outcome, Failure> {
        let name = self.next_cell(source);
        let outcome = self
            .eval(&name, source)
            .and_then(|value| self.outcome(&name, source, value));
        match outcome {
            Ok(_) => {
                if let Some(note) = script::comment(source, |name| self.scope.contains(name)) {
                    (self.host.observer)().note(&format!("note: {note}"));
                }
            }
            Err(_) => drop(self.failed.insert(self.cells)),
        }
        outcome
    }

    /// What a cell comes to.
    fn outcome(&mut self, name: &str, source: &str, value: Dynamic) -> Result<Outcome, Failure> {
        if value.is_unit() {
            return Ok(Outcome { value, shown: None });
        }
        self.scope.set_or_push("ans", value.clone());
        self.host
            .results
            .borrow_mut()
            .keep(self.cells, value.clone());
        let silent = source.trim_end().ends_with(';');
        let shown = match silent {
            true => None,
            false => Some(self.show(name, &value)?),
        };
        Ok(Outcome { value, shown })
    }

    /// Evaluates a script. `name` is its path, or says where the text comes from.
    ///
    /// Variables bound before an error or an interrupt are kept.
    pub fn eval(&mut self, name: &str, source: &str) -> Result<Dynamic, Failure> {
        let result = self.eval_kept(name, source);
        self.compact();
        result
    }

    /// The same, where hidden variables stay in their places.
    fn eval_kept(&mut self, name: &str, source: &str) -> Result<Dynamic, Failure> {
        if self.clears_interrupts {
            interrupt::clear();
        }
        tracing::debug!(name, bytes = source.len(), "evaluate");
        self.sources.insert(name.to_string(), source.to_string());
        self.remember_script(name, source);
        let result = catch_unwind(AssertUnwindSafe(|| self.eval_parts(name, source)));
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.failure(name, &error)),
            Err(panic) => Err(Failure::panic(&*panic)),
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

    fn show(&self, name: &str, value: &Dynamic) -> Result<Shown, Failure> {
        script::look(&self.engine, value).map_err(|error| self.failure(name, &error))
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
        let named: Vec<String> = named.collect();
        let source = ast.source().unwrap_or_default();
        let homes = named.iter().map(|name| (name.clone(), source.to_string()));
        self.homes.extend(homes);
        self.index.take();
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
        Failure::of(name, error, &self.sources, |spot| {
            script::hint(&self.engine, error, &self.variables(), spot)
        })
    }
}
