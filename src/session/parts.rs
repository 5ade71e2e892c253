//! A script in parts: imports, and runs of other statements that end where a constant is made.
//!
//! An import belongs to the session, not to the program that it stands in; and a constant must be
//! known before the functions that use it are called.

use rhai::{AST, ASTFlags, Expr, Module, Position, Stmt};

/// What a part ends with, if another follows: no script returns this by chance.
pub const MARK: &str = "\u{1}the end of a part\u{1}";

/// A piece of a script, to be run in order.
pub enum Part {
    Import { ast: AST, alias: String },
    Statements { ast: AST, constants: Vec<String> },
}

/// Splits a script.
pub fn parts(ast: &AST) -> Vec<Part> {
    let source = ast.source().unwrap_or_default().to_string();
    let program =
        |statements: Vec<Stmt>| AST::new_with_source(statements, Module::new(), source.as_str());
    let mut parts = Vec::new();
    let mut run: Vec<Stmt> = Vec::new();
    let mut constants = Vec::new();
    let mut rest = ast.statements().iter().peekable();
    while let Some(statement) = rest.next() {
        if let Stmt::Import(import, _) = statement {
            if !run.is_empty() {
                run.push(mark());
                let ast = program(std::mem::take(&mut run));
                let constants = std::mem::take(&mut constants);
                parts.push(Part::Statements { ast, constants });
            }
            parts.push(Part::Import {
                ast: program(vec![statement.clone()]),
                alias: import.1.name.to_string(),
            });
            continue;
        }
        run.push(statement.clone());
        if let Some(name) = constant(statement) {
            constants.push(name);
        }
        let next_is_constant = rest.peek().is_some_and(|next| constant(next).is_some());
        if !constants.is_empty() && !next_is_constant && rest.peek().is_some() {
            run.push(mark());
            let ast = program(std::mem::take(&mut run));
            let constants = std::mem::take(&mut constants);
            parts.push(Part::Statements { ast, constants });
        }
    }
    if !run.is_empty() {
        let ast = program(run);
        parts.push(Part::Statements { ast, constants });
    }
    parts
}

fn constant(statement: &Stmt) -> Option<String> {
    match statement {
        Stmt::Var(var, flags, _) if flags.contains(ASTFlags::CONSTANT) => {
            Some(var.0.name.to_string())
        }
        _ => None,
    }
}

fn mark() -> Stmt {
    Stmt::Expr(Box::new(Expr::StringConstant(MARK.into(), Position::NONE)))
}
