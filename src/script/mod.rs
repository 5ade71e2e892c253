//! Rhai bindings: one file for each registered type, mirroring the native file of that name.
//!
//! A binding converts and maps errors; it computes nothing.

mod asserts;
mod ast_grep;
mod bind;
mod cache;
mod completion;
mod console;
mod convert;
mod curriculum;
mod data;
mod differentiate;
pub mod docs;
mod error;
mod generate;
mod grpo;
mod help;
mod hooks;
mod host;
mod imports;
mod indexing;
mod lists;
mod live;
mod lm;
mod model;
mod mx;
mod nn;
mod numbers;
mod operators;
mod optim;
mod optimizer;
mod plot;
mod policy_loss;
mod ranges;
mod reward;
mod rewards;
mod rl;
mod sampling;
mod settings;
mod sft;
mod task;
mod tensor;
mod text;
mod tokenizer;
mod train;
mod tree;
mod watched;

pub use convert::show;
pub use error::{ScriptError, hint};
pub use help::{explain, kind_of};
pub use hooks::Names;
pub use host::Host;
pub use imports::{STDLIB, constant};
pub use plot::PlotValue;
pub use settings::{Asked, asked_by};
pub use tensor::Tensor;
pub use watched::Watched;

use rhai::{Engine, OptimizationLevel};

/// An engine with everything registered, for one host.
pub fn engine(host: Host) -> Engine {
    let mut engine = Engine::new();
    limits(&mut engine);
    hooks::install(&mut engine, host.names.clone());
    engine.set_module_resolver(imports::Imports {
        names: host.names.clone(),
    });
    let print = host.print.clone();
    engine.on_print(move |text| print(text));
    let print = host.print.clone();
    engine.on_debug(move |text, source, position| {
        let place = source.map(|s| format!("{s} ")).unwrap_or_default();
        print(&format!("{place}{position:?}: {text}"));
    });
    engine.set_default_tag(rhai::Dynamic::from(host));
    numbers::register(&mut engine);
    ranges::register(&mut engine);
    tensor::register(&mut engine);
    operators::register(&mut engine);
    indexing::register(&mut engine);
    // Most of the functions serve as methods too: `mx::sum(a)` is `a.sum()`.
    let mx = mx::bindings();
    engine.register_global_module(mx.methods.into());
    engine.register_static_module("mx", mx.module.into());
    engine.register_static_module("nn", nn::bindings().into());
    optim::register(&mut engine);
    asserts::register(&mut engine);
    help::register(&mut engine);
    console::register(&mut engine);
    tokenizer::register(&mut engine);
    model::register(&mut engine);
    cache::register(&mut engine);
    completion::register(&mut engine);
    text::register(&mut engine);
    ast_grep::register(&mut engine);
    lm::register(&mut engine);
    sampling::register(&mut engine);
    data::register(&mut engine);
    plot::register(&mut engine);
    grpo::register(&mut engine);
    rl::register(&mut engine);
    rewards::register(&mut engine);
    sft::register(&mut engine);
    engine
}

/// Limits are set one by one: their defaults differ between debug and release builds.
fn limits(engine: &mut Engine) {
    engine
        .set_optimization_level(OptimizationLevel::None)
        .set_fail_on_invalid_map_property(true)
        .set_max_call_levels(128)
        .set_max_expr_depths(256, 128)
        .set_max_operations(0)
        .set_max_string_size(0)
        .set_max_array_size(0)
        .set_max_map_size(0);
}
