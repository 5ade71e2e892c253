//! The files that a session was built from, which may have changed since.

use super::{Failure, Session};
use crate::script::{Names, Watched};
use rhai::{AST, EvalAltResult, Module, Scope};
use std::path::Path;

/// A script that was run in the session, or a module that was imported into it.
pub(super) struct Loaded {
    what: What,
    files: Vec<Watched>,
    /// The change was spoken of.
    told: bool,
}

enum What {
    Script(String),
    Import { ast: AST, alias: String },
}

impl Loaded {
    fn has_changed(&self) -> bool {
        self.files.iter().any(Watched::has_changed)
    }
}

impl Session {
    /// Notes that a script's text was run, if it is a file's.
    pub(super) fn remember_script(&mut self, name: &str, text: &str) {
        let path = Path::new(name);
        if !path.is_file() {
            return;
        }
        let is_same = |l: &Loaded| matches!(&l.what, What::Script(known) if known == name);
        self.loaded.retain(|loaded| !is_same(loaded));
        self.loaded.push(Loaded {
            what: What::Script(name.to_string()),
            files: vec![Watched::new(path, text)],
            told: false,
        });
    }

    /// Imports a module under a name that every later cell knows.
    pub(super) fn import(&mut self, ast: AST, alias: String) -> Result<(), Box<EvalAltResult>> {
        let names = self.host.names.clone();
        let (module, read) = Names::traced(&names, || {
            Module::eval_ast_as_new(Scope::new(), &ast, &self.engine)
        });
        let read = read.into_iter().map(|(file, _)| file);
        let files: Vec<Watched> = read.filter(|file| file.path().is_file()).collect();
        // Also where it fails: whoever mends the file wants it tried again.
        let is_same =
            |l: &Loaded| matches!(&l.what, What::Import { alias: known, .. } if *known == alias);
        self.loaded.retain(|loaded| !is_same(loaded));
        if !files.is_empty() {
            self.loaded.push(Loaded {
                what: What::Import {
                    ast,
                    alias: alias.clone(),
                },
                files,
                told: false,
            });
        }
        if let Some(found) = module?.get_sub_module(&alias) {
            let found = found.clone();
            self.engine.register_static_module(&alias, found.into());
            self.index.take();
        }
        Ok(())
    }

    /// The names of imported modules that were read from files.
    pub(super) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.loaded.iter().filter_map(|loaded| match &loaded.what {
            What::Import { alias, .. } => Some(alias.as_str()),
            What::Script(_) => None,
        })
    }

    /// Files that have changed since they were run or imported, and were not spoken of yet.
    pub fn news(&mut self) -> Vec<String> {
        let new = self
            .loaded
            .iter_mut()
            .filter(|l| !l.told && l.has_changed());
        let told = new.flat_map(|loaded| {
            loaded.told = true;
            let changed = loaded.files.iter().filter(|file| file.has_changed());
            changed
                .map(|file| file.path().display().to_string())
                .collect::<Vec<_>>()
        });
        let mut files: Vec<String> = told.collect();
        files.sort();
        files.dedup();
        files
    }

    /// Runs scripts and imports modules again whose files have changed; what was done.
    ///
    /// # Errors
    /// Those of the scripts; what comes after the first stays as it was.
    pub fn reload(&mut self) -> Result<Vec<String>, Failure> {
        let (changed, same): (Vec<_>, Vec<_>) = std::mem::take(&mut self.loaded)
            .into_iter()
            .partition(Loaded::has_changed);
        self.loaded = same;
        let mut done = Vec::new();
        let mut rest = changed.into_iter();
        while let Some(loaded) = rest.next() {
            let result = match &loaded.what {
                What::Script(name) => {
                    let path = loaded.files.first().map(Watched::full);
                    match std::fs::read_to_string(path.unwrap_or(Path::new(name))) {
                        Ok(text) => {
                            done.push(format!("{name}: run again"));
                            self.eval(name, &text).map(drop)
                        }
                        Err(error) => {
                            done.push(format!("{name}: {error}"));
                            // It may come back: an editor takes a file away while it saves.
                            self.loaded.push(loaded);
                            continue;
                        }
                    }
                }
                What::Import { ast, alias } => {
                    done.push(format!("{alias}: imported again"));
                    let again = self.import(ast.clone(), alias.clone());
                    again.map_err(|error| self.failure("import", &error))
                }
            };
            if let Err(failure) = result {
                // What was tried is remembered as it is now, whatever came of it.
                self.loaded.extend(rest);
                return Err(failure);
            }
        }
        Ok(done)
    }
}
