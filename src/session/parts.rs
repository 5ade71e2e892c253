//! A script in parts: imports, and runs of other statements that end where a constant is made.
//!
//! An import belongs to the session, not to the program that it stands in; and a constant must be
//! known before the functions that use it are called.

use crate::script::constant;
use rhai::{AST, Expr, Module, Position, Stmt};

/// What a part ends with, if another follows: no script returns this by chance.
pub const MARK: &str = "\u{1}the end of a part\u{1}";

/// A piece of a script, to be run in order.
pub enum Part {
    Import { ast: AST, alias: String },
    Statements { ast: AST, constant: Option<String> },
}

/// Splits a script.
pub fn parts(ast: &AST) -> Vec<Part> {
    let source = ast.source().unwrap_or_default().to_string();
    let program =
        |statements: Vec<Stmt>| AST::new_with_source(statements, Module::new(), source.as_str());
    let mut parts = Vec::new();
    let mut run: Vec<Stmt> = Vec::new();
    let mut rest = ast.statements().iter().peekable();
    while let Some(statement) = rest.next() {
        if let Stmt::Import(import, _) = statement {
            parts.push(Part::Import {
                ast: program(vec![statement.clone()]),
                alias: import.1.name.to_string(),
            });
            continue;
        }
        run.push(statement.clone());
        let constant = constant(statement);
        let next_is_import = matches!(rest.peek(), Some(Stmt::Import(..)));
        if rest.peek().is_some() && (constant.is_some() || next_is_import) {
            run.push(mark());
        } else if rest.peek().is_some() {
            continue;
        }
        let ast = program(std::mem::take(&mut run));
        parts.push(Part::Statements { ast, constant });
    }
    parts
}

fn mark() -> Stmt {
    Stmt::Expr(Box::new(Expr::StringConstant(MARK.into(), Position::NONE)))
}
