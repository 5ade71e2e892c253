//! What the bindings need from whoever runs the engine.

use super::hooks::Names;
use super::results::Results;
use super::show::{Screen, Shown};
use crate::error::{Error, Result};
use crate::hub::{self, Download};
use crate::train::{Observer, Quiet};
use rhai::{Dynamic, NativeCallContext};
use std::cell::RefCell;
use std::rc::Rc;

/// Asks for a line, with a prompt; `None` is the end of what there is to read.
pub type Ask = dyn Fn(&str) -> Result<Option<String>>;

/// Shows a value, which looks like this.
pub type Show = dyn Fn(&Dynamic, &Shown);

/// Output and observers of a front end, and the names that its session knows.
#[derive(Clone)]
pub struct Host {
    /// Where `print` goes.
    pub print: Rc<dyn Fn(&str)>,
    /// Where `help` goes: text in sentences.
    pub tell: Rc<dyn Fn(&str)>,
    /// Where `write` goes, as it is.
    pub write: Rc<dyn Fn(&str)>,
    /// Where `input` asks.
    pub input: Rc<Ask>,
    /// Where `display` shows a value.
    pub display: Rc<Show>,
    /// What `clear_output` does: empties the cell, at once or with what comes next.
    pub clear: Rc<dyn Fn(bool)>,
    /// Makes somebody to watch a training run.
    pub observer: Rc<dyn Fn() -> Box<dyn Observer>>,
    /// Makes somebody to watch a download.
    pub download: Rc<dyn Fn() -> Box<dyn Download>>,
    pub names: Rc<RefCell<Names>>,
    /// The values of cells, for `out`.
    pub results: Rc<RefCell<Results>>,
    /// What the script was started with: the list `args`.
    pub args: Vec<String>,
}

/// Collects text until its line is whole.
fn by_lines(print: Rc<dyn Fn(&str)>) -> Rc<dyn Fn(&str)> {
    let waiting = RefCell::new(String::new());
    Rc::new(move |text| {
        let mut waiting = waiting.borrow_mut();
        waiting.push_str(text);
        while let Some(end) = waiting.find('\n') {
            print(&waiting[..end]);
            waiting.drain(..=end);
        }
    })
}

impl Host {
    /// A host that watches nothing.
    pub fn quiet(print: Rc<dyn Fn(&str)>) -> Self {
        Self {
            tell: print.clone(),
            write: by_lines(print.clone()),
            input: Rc::new(|_| Err(Error::Unsupported("there is nobody here to ask".into()))),
            display: {
                let print = print.clone();
                Rc::new(move |_, shown| print(&shown.to_text(&Screen::default())))
            },
            clear: Rc::new(|_| ()),
            print,
            observer: Rc::new(|| Box::new(Quiet)),
            download: Rc::new(|| Box::new(hub::Quiet)),
            names: Rc::default(),
            results: Rc::default(),
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
