//! Where `import "..."` looks: the standard library in the binary, then files beside the script.

use super::error::Answer;
use super::hooks::Names;
use super::watched::Watched;
use rhai::{
    AST, ASTFlags, Dynamic, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared,
    Stmt,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Modules of the standard library: name and text.
pub const STDLIB: [(&str, &str); 1] = [("std/rewards", include_str!("../../stdlib/rewards.rhai"))];

/// Finds modules, and remembers them so that their closures can be called from anywhere.
pub struct Imports {
    pub names: Rc<RefCell<Names>>,
}

impl Imports {
    /// A module's file, or the text in the binary, which has no stamp.
    fn find(&self, importer: Option<&str>, path: &str) -> Option<Watched> {
        // A file of one's own comes before the built-in module of the same name.
        for candidate in candidates(importer, path) {
            if let Ok(file) = Watched::read(&candidate) {
                return Some(file);
            }
        }
        let built_in = STDLIB.iter().find(|(name, _)| *name == path);
        built_in.map(|(name, text)| Watched::new(Path::new(name), text))
    }
}

/// Beside the importing script, then in the working directory; the ending may be left out.
fn candidates(importer: Option<&str>, path: &str) -> Vec<PathBuf> {
    let beside = importer.and_then(|source| Path::new(source).parent());
    let folders = [beside, Some(Path::new(""))];
    let with_ending = if path.ends_with(".rhai") {
        path.to_string()
    } else {
        format!("{path}.rhai")
    };
    let folders = folders.into_iter().flatten();
    folders.map(|folder| folder.join(&with_ending)).collect()
}

impl ModuleResolver for Imports {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        pos: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        if let Some(module) = self.names.borrow().pinned.get(path) {
            return Ok(module.clone());
        }
        let Some(file) = self.find(source, path) else {
            return Err(EvalAltResult::ErrorModuleNotFound(path.into(), pos).into());
        };
        let name = file.path().display().to_string();
        let text = file.text().to_string();
        if let Some(read) = &mut self.names.borrow_mut().read {
            read.push((file, None));
        }
        let cycle = self.names.borrow_mut().enter(&name);
        if let Some(cycle) = cycle {
            let said = format!("modules that import each other: {cycle}");
            return Err(EvalAltResult::ErrorRuntime(said.into(), pos).into());
        }
        let in_module = |error| EvalAltResult::ErrorInModule(name.clone(), error, pos);
        let compiled = engine.compile(text).map_err(|e| in_module(e.into()));
        let program =
            compiled.and_then(|ast| Program::evaluate(engine, ast, &name).map_err(in_module));
        let mut names = self.names.borrow_mut();
        names.leave();
        let program = program?;
        names.remember(&program);
        if let Some(read) = &mut names.read {
            let own = read
                .iter_mut()
                .rev()
                .find(|(f, _)| f.path() == Path::new(&name));
            if let Some((_, known)) = own {
                *known = Some(program.clone());
            }
        }
        Ok(program.module)
    }
}

/// A script that was run once as a module: what it defines can be called from elsewhere.
#[derive(Clone)]
pub struct Program {
    pub module: Shared<Module>,
    pub ast: AST,
    /// What it imports, by the name that its functions know it by.
    pub imports: Vec<(String, Shared<Module>)>,
    pub constants: BTreeMap<String, Dynamic>,
}

impl Program {
    /// Runs what stands outside of functions, and takes in the values of the constants.
    pub fn evaluate(engine: &Engine, mut ast: AST, name: &str) -> Answer<Self> {
        ast.set_source(name);
        let names: Vec<String> = ast.statements().iter().filter_map(constant).collect();
        // A module keeps what it exports; then `module::NAME` is known outside, too.
        let exports: String = names.iter().map(|name| format!("export {name};")).collect();
        let mut whole = match names.is_empty() {
            true => ast.clone(),
            false => ast.merge(&engine.compile(exports)?),
        };
        whole.set_source(name);
        let module = Module::eval_ast_as_new(Scope::new(), &whole, engine)?;
        let known = names.into_iter().filter_map(|name| {
            let value = module.get_var(&name)?;
            Some((name, value))
        });
        let imports = module.iter_sub_modules();
        let imports = imports.map(|(alias, module)| (alias.to_string(), module.clone()));
        Ok(Self {
            constants: known.collect(),
            imports: imports.collect(),
            module: module.into(),
            ast,
        })
    }
}

/// The name of the constant that a statement makes.
pub fn constant(statement: &Stmt) -> Option<String> {
    match statement {
        Stmt::Var(var, flags, _) if flags.contains(ASTFlags::CONSTANT) => {
            Some(var.0.name.to_string())
        }
        _ => None,
    }
}
