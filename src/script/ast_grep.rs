//! `ast_grep::`.

use super::error::{Answer, At};
use crate::ast_grep::{self, Language, Match};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, INT, Map, NativeCallContext};

/// Registers the module.
pub fn register(engine: &mut Engine) {
    engine.register_static_module("ast_grep", exported_module!(functions).into());
}

fn map_of(found: Match) -> Dynamic {
    Map::from_iter([
        ("text".into(), found.text.into()),
        ("start".into(), (found.start as INT).into()),
        ("end".into(), (found.end as INT).into()),
    ])
    .into()
}

#[export_module]
mod functions {
    /// Every place in the code where a pattern of ast-grep matches, a list of `#{ text, start, end }` in
    /// the order in which they begin; a match inside of another is one too. `start` and `end` count
    /// characters, as Rhai's strings do, and not bytes.
    ///
    /// A pattern is one piece of code. `$NAME` stands for one node (the same text wherever it is
    /// repeated), `$_` for any, and `$$$NAME` or `$$$` for any number of nodes in a list. One that is
    /// empty, several pieces, or not right by the grammar is an error. The languages are
    /// `"javascript"` (`js`, `jsx`), `"typescript"` (`ts`), `"tsx"`, `"rust"` (`rs`) and `"python"` (`py`).
    ///
    /// ```rhai
    /// let code = "log(x); print(y); log(1, 2);";
    /// assert_eq(ast_grep::find("log($$$ARGS)", code, "js").map(|m| m.text), ["log(x)", "log(1, 2)"]);
    /// let m = ast_grep::find("print($A)", code, "javascript")[0];
    /// assert_eq(m, #{ text: "print(y)", start: 8, end: 16 });
    /// assert_eq(code.sub_string(m.start, m.end - m.start), m.text);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn find(ctx: NativeCallContext, pattern: &str, code: &str, language: &str) -> Answer<List> {
        let language = Language::named(language).at(&ctx)?;
        let found = ast_grep::find(pattern, code, language).at(&ctx)?;
        Ok(found.into_iter().map(map_of).collect())
    }

    /// Whether `ast_grep::find` takes a pattern: one piece of code, right by the language's grammar.
    ///
    /// ```rhai
    /// assert(ast_grep::is_valid("fn $NAME($$$PARAMS) { $$$BODY }", "rust"));
    /// assert(!ast_grep::is_valid("fn $NAME(", "rust"));
    /// assert(!ast_grep::is_valid("first(); second()", "ts"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn is_valid(ctx: NativeCallContext, pattern: &str, language: &str) -> Answer<bool> {
        let language = Language::named(language).at(&ctx)?;
        Ok(ast_grep::check(pattern, language).is_ok())
    }
}
