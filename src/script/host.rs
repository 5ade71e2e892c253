//! What the bindings need from whoever runs the engine.

use super::hooks::Names;
use crate::train::{Observer, Quiet};
use rhai::NativeCallContext;
use std::cell::RefCell;
use std::rc::Rc;

/// Output and observers of a front end, and the names that its session knows.
#[derive(Clone)]
pub struct Host {
    /// Where `print` goes.
    pub print: Rc<dyn Fn(&str)>,
    /// Makes somebody to watch a training run.
    pub observer: Rc<dyn Fn() -> Box<dyn Observer>>,
    pub names: Rc<RefCell<Names>>,
    /// What the script was started with: the list `args`.
    pub args: Vec<String>,
}

impl Host {
    /// A host that watches nothing.
    pub fn quiet(print: Rc<dyn Fn(&str)>) -> Self {
        Self {
            print,
            observer: Rc::new(|| Box::new(Quiet)),
            names: Rc::default(),
            args: Vec::new(),
        }
    }

    /// The host of the engine that makes this call.
    pub fn of(ctx: &NativeCallContext) -> Self {
        ctx.tag()
            .and_then(|tag| tag.clone().try_cast::<Self>())
            .unwrap_or_else(|| Self::quiet(Rc::new(|_| ())))
    }
}
