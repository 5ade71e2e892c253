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
mod each;
mod error;
mod generate;
mod grpo;
mod help;
mod hints;
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
mod results;
mod reward;
mod rewards;
mod rl;
mod sampling;
mod settings;
mod sft;
mod show;
mod task;
mod tensor;
mod text;
mod tokenizer;
mod train;
mod tree;
mod watched;

pub use console::Exit;
pub use docs::friendly;
pub use error::ScriptError;
pub use help::{explain, kind_of};
pub use hints::{Spot, comment, hint};
pub use hooks::Names;
pub use host::Host;
pub use imports::{STDLIB, constant};
pub use plot::PlotValue;
pub use settings::{Asked, asked_by};
pub use show::{Grid, Screen, Shown, bytes_in, detail, escape, look, summarise};
pub use tensor::Tensor;
pub use tree::tensors_in;
pub use watched::Watched;

use rhai::{Engine, Module, OptimizationLevel};

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
    // One module for all: Rhai looks a function up in each module of its engine, one after another.
    let mut global = Module::new();
    numbers::register(&mut engine);
    ranges::register(&mut global);
    tensor::register(&mut engine, &mut global);
    operators::register(&mut engine);
    indexing::register(&mut engine, &mut global);
    // Most of the functions serve as methods too: `mx::sum(a)` is `a.sum()`.
    let mx = mx::bindings();
    global.combine(mx.methods);
    engine.register_static_module("mx", mx.module.into());
    engine.register_static_module("nn", nn::bindings().into());
    optim::register(&mut engine, &mut global);
    asserts::register(&mut global);
    help::register(&mut global);
    console::register(&mut global);
    tokenizer::register(&mut engine, &mut global);
    model::register(&mut engine, &mut global);
    cache::register(&mut engine, &mut global);
    completion::register(&mut engine, &mut global);
    text::register(&mut engine, &mut global);
    ast_grep::register(&mut engine);
    lm::register(&mut engine);
    sampling::register(&mut engine, &mut global);
    data::register(&mut engine, &mut global);
    plot::register(&mut engine, &mut global);
    grpo::register(&mut engine, &mut global);
    rl::register(&mut engine);
    rewards::register(&mut engine);
    sft::register(&mut engine, &mut global);
    each::register(&mut global);
    engine.register_global_module(global.into());
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
