//! Scripts whose functions are called from outside, and which may change meanwhile.
//!
//! The files are looked at when somebody asks, between steps: nothing watches them in the background.
//! A changed script is read, compiled, run once, held against its contract and tried before it takes the
//! place of the one before; whatever fails leaves that one where it is.

use super::error::{Answer, callback, raise};
use super::hooks::Names;
use super::host::Host;
use super::imports::Program;
use super::watched::{Watched, stamp};
use crate::data::fingerprint;
use crate::error::{Error, Result};
use crate::mlx::interrupt;
use crate::rl::{RewardOutput, ScriptVersion};
use rhai::{Dynamic, Engine, EvalAltResult, NativeCallContext, Position, Scope};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A function that a script must have: its name, its parameters, and how it is written.
pub type Contract = (&'static str, usize, &'static str);

/// A script that somebody uses.
pub struct LiveScript<'a> {
    ctx: &'a NativeCallContext<'a>,
    kept: Rc<RefCell<Kept>>,
}

/// What a session knows of a script, whoever uses it: its versions are counted, and one that served is
/// there when the next cannot be used.
pub struct Kept {
    path: PathBuf,
    now: Version,
    /// The one before, to go back to.
    before: Option<Version>,
    /// The files as they were last looked at; those of a refused version, too.
    files: Vec<Watched>,
    count: u32,
    /// What serves is what the files say.
    is_latest: bool,
    /// What was scored last, where the script is a reward: the next version is tried on it.
    last: Vec<RewardOutput>,
}

#[derive(Clone)]
struct Version {
    program: Program,
    /// What it imports, and what that imports.
    imported: Vec<Program>,
    script: ScriptVersion,
}

/// What came of a look at the files.
pub enum Look {
    Same,
    /// Another version serves from here on.
    New,
    /// The files have changed, but cannot be used.
    Refused(String),
}

impl<'a> LiveScript<'a> {
    /// Reads a script and runs what stands outside of its functions. With `go_on`, a version that the
    /// session knows serves until [`look`](Self::look) finds a better one.
    ///
    /// # Errors
    /// The file's, the script's, and those of a script without the function of the contract.
    pub fn open(
        ctx: &'a NativeCallContext<'a>,
        path: &Path,
        contract: Contract,
        go_on: bool,
    ) -> Answer<Self> {
        let names = Host::of(ctx).names;
        let known = names.borrow().live.get(path).cloned();
        if let Some(kept) = &known {
            let is_same = !kept.borrow().files.iter().any(Watched::has_changed);
            let serves = has(&kept.borrow().now.program, contract.0, contract.1);
            let is_latest = is_same && kept.borrow().is_latest;
            if serves && (is_latest || go_on) {
                return Ok(Self {
                    ctx,
                    kept: kept.clone(),
                });
            }
        }
        let count = known.map_or(0, |kept| kept.borrow().count);
        let (outcome, files) = read(ctx, path, contract, count + 1);
        let kept = Kept {
            path: path.to_path_buf(),
            now: outcome.map_err(|mut error| {
                if error.position().is_none() {
                    error.set_position(ctx.call_position());
                }
                error
            })?,
            before: None,
            files,
            count: count + 1,
            is_latest: true,
            last: Vec::new(),
        };
        let kept = Rc::new(RefCell::new(kept));
        let live = Self {
            ctx,
            kept: kept.clone(),
        };
        live.remember();
        names.borrow_mut().live.insert(path.to_path_buf(), kept);
        Ok(live)
    }

    /// The version that serves.
    pub fn version(&self) -> ScriptVersion {
        self.kept.borrow().now.script.clone()
    }

    /// Takes up a change of the script or of what it imports, if `probe` has nothing against it.
    pub fn look(&self, contract: Contract, probe: &mut dyn FnMut(&Self) -> Result<()>) -> Look {
        let (path, count) = {
            let kept = self.kept.borrow();
            if !kept.files.iter().any(Watched::has_changed) {
                return Look::Same;
            }
            (kept.path.clone(), kept.count)
        };
        let is_being_written = std::fs::metadata(&path).map_or(true, |data| data.len() == 0);
        if is_being_written {
            // An editor is in the middle of it: look again next time.
            return Look::Same;
        }
        let (outcome, mut files) = read(self.ctx, &path, contract, count + 1);
        if interrupt::is_set() {
            // It was not looked at to its end: next time.
            self.remember();
            return Look::Same;
        }
        let old_files = self.kept.borrow().files.clone();
        if outcome.is_err() {
            // What it used to import may be what is wrong with it, and may be mended.
            let is_lost = |old: &&Watched| files.iter().all(|new| new.path() != old.path());
            let lost: Vec<Watched> = old_files.iter().filter(is_lost).cloned().collect();
            files.extend(lost.iter().map(|old| Watched::new(old.path(), old.text())));
        }
        self.kept.borrow_mut().files = files;
        let is_same = {
            let kept = self.kept.borrow();
            let pairs = kept.files.iter().zip(&old_files);
            kept.files.len() == old_files.len()
                && pairs.into_iter().all(|(a, b)| a.text() == b.text())
        };
        let new = match outcome {
            _ if is_same => return Look::Same,
            Ok(new) => new,
            Err(error) => {
                self.kept.borrow_mut().is_latest = false;
                self.remember();
                return Look::Refused(reason(&error));
            }
        };
        let old = std::mem::replace(&mut self.kept.borrow_mut().now, new);
        self.remember();
        if let Err(error) = probe(self) {
            let mut kept = self.kept.borrow_mut();
            (kept.now, kept.is_latest) = (old, false);
            let is_interrupted = matches!(error, Error::Interrupted);
            if is_interrupted {
                kept.files = old_files;
            }
            drop(kept);
            self.remember();
            if is_interrupted {
                return Look::Same;
            }
            return Look::Refused(reason(&raise(error, Position::NONE)));
        }
        let mut kept = self.kept.borrow_mut();
        kept.count += 1;
        (kept.before, kept.is_latest) = (Some(old), true);
        Look::New
    }

    /// Goes back to the version before; false where there is none, or none any more.
    pub fn roll_back(&self) -> bool {
        let Some(old) = self.kept.borrow_mut().before.take() else {
            return false;
        };
        let mut kept = self.kept.borrow_mut();
        (kept.now, kept.is_latest) = (old, false);
        drop(kept);
        self.remember();
        true
    }

    /// Whether the script has a function.
    pub fn has(&self, name: &str, parameters: usize) -> bool {
        has(&self.kept.borrow().now.program, name, parameters)
    }

    /// Calls a function of the script. What it imports on the way is watched from then on.
    pub fn call(&self, name: &str, args: Vec<Dynamic>) -> Result<Dynamic> {
        let program = self.kept.borrow().now.program.clone();
        let (answer, read) = Names::traced(&Host::of(self.ctx).names, || {
            call(self.ctx, &program, name, args)
        });
        let mut kept = self.kept.borrow_mut();
        for (file, _) in read {
            if file.path().exists() && kept.files.iter().all(|known| known.path() != file.path()) {
                kept.files.push(file);
            }
        }
        answer.map_err(callback)
    }

    /// What was scored last.
    pub fn last(&self) -> Vec<RewardOutput> {
        self.kept.borrow().last.clone()
    }

    /// Keeps what was scored.
    pub fn keep_last(&self, outputs: &[RewardOutput]) {
        self.kept.borrow_mut().last = outputs.to_vec();
    }

    /// Makes constants and closures those of the version that serves.
    fn remember(&self) {
        let now = self.kept.borrow().now.clone();
        let names = Host::of(self.ctx).names;
        let mut names = names.borrow_mut();
        now.imported
            .iter()
            .for_each(|program| names.remember(program));
        names.remember(&now.program);
    }
}

fn has(program: &Program, name: &str, parameters: usize) -> bool {
    let mut functions = program.ast.iter_functions();
    functions.any(|f| f.name == name && f.params.len() == parameters)
}

/// What is wrong with a script, and where.
fn reason(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorRuntime(text, Position::NONE) => text.to_string(),
        other => other.to_string(),
    }
}

/// Reads a version of a script, and the files that it came from whether or not it can be used.
fn read(
    ctx: &NativeCallContext,
    path: &Path,
    contract: Contract,
    number: u32,
) -> (Answer<Version>, Vec<Watched>) {
    let first = stamp(path);
    let own = |text: &str| Watched::of(path, first, text);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let error = raise(Error::io(path)(error), Position::NONE);
            return (Err(error), vec![own("")]);
        }
    };
    let (program, read) = Names::traced(&Host::of(ctx).names, || {
        evaluate(ctx, path, &text, contract)
    });
    let (mut files, mut imported) = (vec![own(&text)], Vec::new());
    for (file, program) in read {
        imported.extend(program);
        if files.iter().all(|known| known.path() != file.path()) {
            files.push(file);
        }
    }
    // Modules of the binary have no file.
    files.retain(|file| file.path() == path || file.was_there());
    let whole: Vec<&str> = files.iter().map(|file| file.text()).collect();
    let hash = format!("{:016x}", fingerprint(whole.join("\0").as_bytes()));
    let imports = files.iter().skip(1).map(|file| {
        let name = file.path().file_stem().unwrap_or_default();
        let part = format!("{:08x}", fingerprint(file.text().as_bytes()) as u32);
        let name = format!("{}-{part}", name.to_string_lossy());
        (name, file.text().to_string())
    });
    let imports = imports.collect();
    let version = program.map(|program| Version {
        program,
        imported,
        script: ScriptVersion {
            number,
            hash,
            text,
            imports,
        },
    });
    (version, files)
}

fn evaluate(
    ctx: &NativeCallContext,
    path: &Path,
    text: &str,
    (name, parameters, written): Contract,
) -> Answer<Program> {
    // What is wrong with the file as a whole has no place in the script that asked for it.
    let engine = ctx.engine();
    let ast = engine.compile(text).map_err(|error| {
        let at = error.position();
        let place = match (at.line(), at.position()) {
            (Some(line), Some(column)) => format!("line {line}, column {column}: "),
            _ => String::new(),
        };
        let said = format!("{place}{}", error.err_type());
        raise(Error::file(path, said), Position::NONE)
    })?;
    let program = Program::evaluate(engine, ast, &path.display().to_string())?;
    if !has(&program, name, parameters) {
        let lacking = format!("it has no `{written}`");
        return Err(raise(Error::file(path, lacking), Position::NONE));
    }
    Ok(program)
}

/// Calls a function of a module. Rhai calls a module's functions from scripts only, so a script of one
/// line makes the call; what the module imports and its constants are then in their place.
fn call(
    ctx: &NativeCallContext,
    program: &Program,
    name: &str,
    args: Vec<Dynamic>,
) -> Answer<Dynamic> {
    let engine: &Engine = ctx.engine();
    let source = program.ast.source().unwrap_or_default();
    let key = format!("the script {source}");
    let names = Host::of(ctx).names;
    names
        .borrow_mut()
        .pinned
        .insert(key.clone(), program.module.clone());
    let mut scope = Scope::new();
    let mut list = Vec::new();
    for (i, arg) in args.into_iter().enumerate() {
        list.push(format!("a{i}"));
        scope.push_dynamic(format!("a{i}"), arg);
    }
    scope.push_constant("the_script", key.clone());
    let line = format!(
        "import the_script as script; script::{name}({})",
        list.join(", ")
    );
    let answer = engine
        .compile(line)
        .map_err(Into::into)
        .and_then(|line| engine.eval_ast_with_scope(&mut scope, &line));
    names.borrow_mut().pinned.remove(&key);
    // The line is ours; for its author the call is where the script is used.
    answer.map_err(|mut error| {
        if let EvalAltResult::ErrorInFunctionCall(_, _, _, position) = &mut *error {
            *position = ctx.call_position();
        }
        error
    })
}
