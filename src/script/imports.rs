//! Where `import "..."` looks: the standard library in the binary, then files beside the script.

use super::hooks::Names;
use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Modules of the standard library: name and text.
pub const STDLIB: [(&str, &str); 1] = [("std/rewards", include_str!("../../stdlib/rewards.rhai"))];

/// Finds modules, and remembers them so that their closures can be called from anywhere.
pub struct Imports {
    pub names: Rc<RefCell<Names>>,
}

impl Imports {
    /// The source name and the text of a module.
    fn find(&self, importer: Option<&str>, path: &str) -> Option<(String, String)> {
        // A file of one's own comes before the built-in module of the same name.
        for candidate in candidates(importer, path) {
            if let Ok(text) = std::fs::read_to_string(&candidate) {
                return Some((candidate.display().to_string(), text));
            }
        }
        let built_in = STDLIB.iter().find(|(name, _)| *name == path);
        built_in.map(|(name, text)| (name.to_string(), text.to_string()))
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
        let Some((name, text)) = self.find(source, path) else {
            return Err(EvalAltResult::ErrorModuleNotFound(path.into(), pos).into());
        };
        let mut ast: AST = engine.compile(text).map_err(|error| {
            EvalAltResult::ErrorInModule(name.clone(), Box::new(error.into()), pos)
        })?;
        ast.set_source(name.as_str());
        let module = Module::eval_ast_as_new(Scope::new(), &ast, engine)
            .map_err(|error| EvalAltResult::ErrorInModule(name.clone(), error, pos))?;
        // Only those with a literal value: the others would have to be computed twice.
        let constants = ast.iter_literal_variables(true, false);
        let constants = constants.map(|(name, _, value)| (name.to_string(), value));
        self.names.borrow_mut().remember(&ast, constants.collect());
        Ok(module.into())
    }
}
