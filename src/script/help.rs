//! `help`: the documentation of a name or a value.

use super::docs::{Found, Index, friendly};
use super::error::{Answer, At};
use super::host::Host;
use crate::error::{Error, Result};
use rhai::plugin::*;
use rhai::{Dynamic, FnPtr, NativeCallContext};

/// Registers the functions.
pub fn register(global: &mut Module) {
    global.combine(exported_module!(functions));
}

/// What there is to read about a name.
///
/// # Errors
/// A name that nothing has.
pub fn explain(index: &Index, name: &str) -> Result<String> {
    match index.find(name) {
        Found::Nothing(near) => {
            let near = near
                .map(|near| format!("`{near}`, or "))
                .unwrap_or_default();
            let expected = format!("{near}a name that `help()` or `help(\"mx\")` lists");
            Err(Error::value("help", format!("`{name}`"), &expected))
        }
        found => Ok(index.told(&found)),
    }
}

/// The name under which the type of a value is documented.
pub fn kind_of(engine: &Engine, value: &Dynamic) -> String {
    friendly(engine.map_type_name(value.type_name()))
}

fn print(ctx: &NativeCallContext, text: &str) {
    (Host::of(ctx).tell)(text);
}

#[export_module]
mod functions {
    /// Lists the modules, the types, and what needs no module.
    ///
    /// ```rhai
    /// help();
    /// ```
    #[rhai_fn(global, name = "help")]
    pub fn help(ctx: NativeCallContext) {
        print(&ctx, &Index::new(ctx.engine()).overview());
    }

    /// Explains what is called by a name: a function (`"softmax"`, `"mx::softmax"`), a module
    /// (`"mx"`), a type (`"Tensor"`); or what can be done with a value, or a function of the script.
    ///
    /// ```rhai
    /// help("softmax");
    /// help(tensor([1, 2]));
    /// ```
    #[rhai_fn(global, name = "help", return_raw)]
    pub fn help_about(ctx: NativeCallContext, about: Dynamic) -> Answer<()> {
        let index = Index::new(ctx.engine());
        let name = match about.read_lock::<FnPtr>() {
            Some(function) if function.fn_name().starts_with("anon$") => "function".into(),
            Some(function) => function.fn_name().to_string(),
            None if about.is_string() => about.to_string(),
            None => {
                let kind = kind_of(ctx.engine(), &about);
                if index.members_of(Some(&kind)).is_empty() {
                    print(&ctx, &format!("{kind}: a type without methods of its own"));
                    return Ok(());
                }
                kind
            }
        };
        let text = explain(&index, &name).at(&ctx)?;
        print(&ctx, &text);
        Ok(())
    }
}
