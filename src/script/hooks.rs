//! Rhai's volatile interfaces, all in this file; `tests/scripts/session.rs` holds what they give.
//!
//! - An integer is accepted wherever a float is (`on_missing_function`).
//! - A closure of an imported module can be called (`on_missing_function`).
//! - MLX's names that Rhai reserves can be written after `::` (`on_parse_token`).
//! - A constant is visible in functions, and a function's bare name is a value (`on_var`).

use super::imports::Program;
use super::live::Kept;
use super::watched::Watched;
use crate::mlx::interrupt;
use rhai::{
    AST, CallFnOptions, Dynamic, Engine, EvalContext, FnPtr, ImmutableString, Module, Scope,
    Shared, Token,
};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

/// Where a closure was made: a script, and what it imports, by alias and pinned name.
#[derive(Clone)]
pub struct Home {
    pub ast: AST,
    pub imports: Vec<(String, String)>,
}

/// The names of a session that Rhai's own look-up does not find.
#[derive(Default)]
pub struct Names {
    /// Constants of the cells, the latest of a name.
    pub constants: BTreeMap<String, Dynamic>,
    /// Constants of a script file, seen in that file only.
    pub of_source: HashMap<String, BTreeMap<String, Dynamic>>,
    /// Functions that scripts have defined.
    pub functions: HashSet<String>,
    /// Imported and reward scripts, whose closures have to be found again.
    pub modules: Vec<Home>,
    /// Modules that an import finds before it looks for a file.
    pub pinned: HashMap<String, Shared<Module>>,
    /// Scripts that are read again when they change.
    pub live: HashMap<PathBuf, Rc<RefCell<Kept>>>,
    /// Where somebody wants to know what is imported: the files that were read, and their texts.
    pub read: Option<Vec<(Watched, Option<Program>)>>,
    /// Modules that are being imported, each by the one before.
    importing: Vec<String>,
}

impl Names {
    /// Takes in a script's constants, and its program so that its closures are found.
    pub fn remember(&mut self, program: &Program) {
        let source = program.ast.source().unwrap_or_default();
        let constants = program.constants.clone();
        self.of_source.insert(source.to_string(), constants);
        self.modules.retain(|old| old.ast.source() != Some(source));
        let mut home = Home {
            ast: program.ast.clone(),
            imports: Vec::new(),
        };
        for (alias, module) in &program.imports {
            let key = format!("{alias} of {source}");
            self.pinned.insert(key.clone(), module.clone());
            home.imports.push((alias.clone(), key));
        }
        self.modules.push(home);
    }

    /// Does something, and says which files were imported meanwhile, and as what.
    pub fn traced<T>(
        names: &RefCell<Self>,
        work: impl FnOnce() -> T,
    ) -> (T, Vec<(Watched, Option<Program>)>) {
        let outer = names.borrow_mut().read.replace(Vec::new());
        let done = work();
        let read = std::mem::replace(&mut names.borrow_mut().read, outer);
        (done, read.unwrap_or_default())
    }

    /// Begins an import; the chain of names, if it leads back to where it began.
    pub fn enter(&mut self, name: &str) -> Option<String> {
        if self.importing.iter().any(|known| known == name) {
            return Some(format!("{} > {name}", self.importing.join(" > ")));
        }
        self.importing.push(name.to_string());
        None
    }

    /// Ends an import that was entered.
    pub fn leave(&mut self) {
        self.importing.pop();
    }

    fn lookup(&self, name: &str, source: Option<&str>) -> Option<Dynamic> {
        let own = source.and_then(|source| self.of_source.get(source)?.get(name));
        if let Some(value) = own.or_else(|| self.constants.get(name)) {
            return Some(value.clone());
        }
        if self.functions.contains(name) {
            return FnPtr::new(ImmutableString::from(name))
                .ok()
                .map(Dynamic::from);
        }
        None
    }
}

/// Installs every hook.
#[allow(deprecated)] // Rhai marks its volatile interfaces so.
pub fn install(engine: &mut Engine, names: Rc<RefCell<Names>>) {
    engine.on_progress(|_| interrupt::is_set().then(|| Dynamic::from("interrupted")));
    let known = names.clone();
    engine.on_var(move |name, index, ctx| {
        // Locals come first, and Rhai asks this hook before it looks at them.
        if index > 0 || ctx.scope().contains(name) {
            return Ok(None);
        }
        Ok(known.borrow().lookup(name, ctx.source()))
    });
    // `mx::var`, `a.var()` and `mx::eval` are MLX's names; Rhai keeps the words to itself.
    let after = Cell::new(After::Other);
    engine.on_parse_token(move |token, _, _| {
        let token = match (after.get(), token) {
            (After::Module, Token::Reserved(word)) => Token::Identifier(word),
            (After::Value, Token::Reserved(word)) if *word == "var" => Token::Identifier(word),
            (_, other) => other,
        };
        after.set(match token {
            Token::DoubleColon => After::Module,
            Token::Period | Token::Elvis => After::Value,
            _ => After::Other,
        });
        token
    });
    engine.on_missing_function(move |name, args, is_method, mut ctx| {
        if name.starts_with("anon$") {
            return imported_closure(&names, name, args, &ctx);
        }
        if !is_identifier(name) || COERCING.get() {
            return Ok(None);
        }
        COERCING.set(true);
        let result = with_floats(name, args, is_method, &mut ctx);
        COERCING.set(false);
        Ok(result)
    });
}

/// What the last token was.
#[derive(Clone, Copy)]
enum After {
    Module,
    Value,
    Other,
}

thread_local! {
    /// Rhai asks again for every failed attempt.
    static COERCING: Cell<bool> = const { Cell::new(false) };
}

/// Operators are left alone: `1 / 0` is an error, and not `1.0 / 0.0`.
fn is_identifier(name: &str) -> bool {
    let name = name.strip_prefix("set$").unwrap_or(name);
    name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Calls a native function with integers as floats: all of them, or else each one alone.
fn with_floats(
    name: &str,
    args: &mut [&mut Dynamic],
    is_method: bool,
    ctx: &mut EvalContext,
) -> Option<Dynamic> {
    let integers: Vec<usize> = (0..args.len()).filter(|i| args[*i].is_int()).collect();
    let mut attempts = vec![integers.clone()];
    if integers.len() > 1 {
        attempts.extend(integers.iter().map(|i| vec![*i]));
    }
    for attempt in attempts.into_iter().filter(|attempt| !attempt.is_empty()) {
        let mut copies: Vec<Dynamic> = args.iter().map(|arg| (**arg).clone()).collect();
        for i in attempt {
            copies[i] = Dynamic::from_float(args[i].as_int().unwrap_or_default() as f64);
        }
        let mut refs: Vec<&mut Dynamic> = copies.iter_mut().collect();
        if let Ok(value) = ctx.call_native_fn_raw(name, is_method, &mut refs) {
            return Some(value);
        }
    }
    None
}

/// Calls a closure that was made in a module, which Rhai 1.27 does not find outside of it.
fn imported_closure(
    names: &Rc<RefCell<Names>>,
    name: &str,
    args: &mut [&mut Dynamic],
    ctx: &EvalContext,
) -> Result<Option<Dynamic>, Box<rhai::EvalAltResult>> {
    let defines = |home: &&Home| {
        let mut functions = home.ast.iter_functions();
        functions.any(|f| f.name == name && f.params.len() == args.len())
    };
    // Closures of the same text have the same name, in whichever script: the one that runs comes first.
    let is_own = |home: &&Home| ctx.source().is_some() && home.ast.source() == ctx.source();
    let home = {
        let known = names.borrow();
        let mut all = known.modules.iter().rev().filter(defines);
        let own = all.clone().find(is_own);
        own.or_else(|| all.next()).cloned()
    };
    let Some(home) = home else { return Ok(None) };
    // The functions, behind imports of what the script has imported: these are pinned, nothing is read.
    let mut program = home.ast.clone_functions_only();
    if !home.imports.is_empty() {
        let import = |(alias, key): &(String, String)| format!("import {key:?} as {alias};");
        let lines: String = home.imports.iter().map(import).collect();
        program = ctx.engine().compile(lines)?.merge(&program);
    }
    program.set_source(home.ast.source().unwrap_or_default());
    let values: Vec<Dynamic> = args.iter().map(|arg| (**arg).clone()).collect();
    let options = CallFnOptions::new().eval_ast(!home.imports.is_empty());
    let mut scope = Scope::new();
    ctx.engine()
        .call_fn_with_options(options, &mut scope, &program, name, values)
        .map(Some)
}
