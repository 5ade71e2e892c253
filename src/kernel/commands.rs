//! Lines that mean something at the prompt, or in other kernels, and nothing here.

use super::evaluator::{Completeness, Evaluator};

/// What to write instead of a command of the prompt.
const INSTEAD: [(&[&str], &str); 10] = [
    (&["time", "timeit"], "write `timeit(|| ...)`"),
    (&["help", "h", "?"], "write `name?`, or `help()`"),
    (&["run", "load"], "write `import \"file\" as name;`"),
    (&["reset"], "restart the kernel"),
    (
        &["quit", "q", "exit"],
        "the menu of the notebook shuts the kernel down",
    ),
    (
        &["reload", "autoreload"],
        "scripts that reward are read again by themselves, for others restart the kernel",
    ),
    (
        &["who", "whos"],
        "Tab lists the variables, `name?` tells of one",
    ),
    (&["mem", "device"], "write `mx::memory()` or `mx::device()`"),
    (
        &["summ"],
        "a tensor has `x.mean()`, `x.std()`, `x.min()`, `x.max()`; `plot::histogram(x)` draws it",
    ),
    (
        &["edit", "e", "save", "hist", "history"],
        "the notebook keeps the cells",
    ),
];

/// What is wrong with a cell that is a command.
pub fn wrong(code: &str, evaluator: &impl Evaluator) -> Option<String> {
    let code = code.trim();
    let word = |text: &str| -> String {
        let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
        text.chars().take_while(is_part).collect()
    };
    if let Some(rest) = code.strip_prefix([':', '%']) {
        let rest = rest.trim_start_matches('%');
        let name = match rest.starts_with('?') {
            true => "?".to_string(),
            false => word(rest),
        };
        let known = INSTEAD.iter().find(|(names, _)| names.contains(&&*name));
        let hint = known.map_or(String::new(), |(_, hint)| format!("; {hint}"));
        return Some(format!("commands belong to the prompt{hint}"));
    }
    let rest = code.strip_prefix('!')?;
    let name = word(rest);
    // `!done` and `!done(x)` are of the language.
    let is_unknown =
        !name.is_empty() && matches!(evaluator.about(&format!("{name}?")), Some(Err(_)));
    let is_rhai = || evaluator.completeness(code) == Completeness::Complete;
    (is_unknown && (name == rest || !is_rhai()))
        .then(|| "commands of the shell belong to the prompt, or to a terminal".into())
}
