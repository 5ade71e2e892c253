//! How functions get into a module, with their names, parameters and documentation.

use rhai::FuncRegistration;

/// A pure function under a name, with the names of its parameters and its documentation.
///
/// Pure functions work on constants too; none of ours changes its arguments.
pub fn function(name: &str, params: &[&str], doc: &str) -> FuncRegistration {
    let comments: Vec<String> = doc
        .lines()
        .map(|line| format!("/// {}", line.trim()))
        .collect();
    FuncRegistration::new(name)
        .in_global_namespace()
        .with_purity(true)
        .with_params_info(params)
        .with_comments(comments)
}
