//! Functions of lists that call a function for each item.
//!
//! Rhai has them too. For every item it tries the ways in which a function may take one, and each
//! try that fails looks through all that is registered; here the way that serves is kept.

use super::error::Answer;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, EvalAltResult, FnPtr, INT, Module, NativeCallContext};

/// Adds the functions.
pub fn register(global: &mut Module) {
    global.combine(exported_module!(functions));
}

/// How a function takes an item.
#[derive(Clone, Copy)]
enum Way {
    This,
    Item,
    ItemAndIndex,
}

/// A function that is called for each item of a list.
struct Each<'a> {
    ctx: NativeCallContext<'a>,
    f: FnPtr,
    /// The way that served last.
    way: Option<Way>,
    /// The function that was called with it.
    caller: &'static str,
}

impl<'a> Each<'a> {
    fn new(ctx: NativeCallContext<'a>, f: FnPtr, caller: &'static str) -> Self {
        Self {
            ctx,
            f,
            way: None,
            caller,
        }
    }

    /// What the function gives for an item, which it may change as `this`.
    fn call(&mut self, item: &mut Dynamic, index: usize) -> Answer<Dynamic> {
        let answer = match self.way.map(|way| self.in_way(way, item, index)) {
            Some(answer) if !self.is_unknown(&answer) => answer,
            _ => self.in_any_way(item, index),
        };
        let source = || self.ctx.call_source().unwrap_or_default().to_string();
        answer.map_err(|error| {
            // Wrapped, `try` would catch it.
            if matches!(*error, EvalAltResult::ErrorTerminated(..)) {
                return error;
            }
            let caller = self.caller.to_string();
            EvalAltResult::ErrorInFunctionCall(caller, source(), error, Position::NONE).into()
        })
    }

    /// Rhai's order: an item may be `this`, the first argument, or that with its index.
    fn in_any_way(&mut self, item: &mut Dynamic, index: usize) -> Answer<Dynamic> {
        for way in [Way::This, Way::Item] {
            let answer = self.in_way(way, item, index);
            if !self.is_unknown(&answer) {
                self.way = Some(way);
                return answer;
            }
        }
        self.way = Some(Way::ItemAndIndex);
        self.in_way(Way::ItemAndIndex, item, index)
    }

    fn in_way(&self, way: Way, item: &mut Dynamic, index: usize) -> Answer<Dynamic> {
        let index = Dynamic::from(index as INT);
        match way {
            Way::This => self.f.call_raw(&self.ctx, Some(item), []),
            Way::Item => self.f.call_raw(&self.ctx, None, [item.clone()]),
            Way::ItemAndIndex => self.f.call_raw(&self.ctx, None, [item.clone(), index]),
        }
    }

    /// Whether there is no function of this name that takes an item in this way.
    fn is_unknown(&self, answer: &Answer<Dynamic>) -> bool {
        matches!(answer.as_ref().map_err(AsRef::as_ref), Err(EvalAltResult::ErrorFunctionNotFound(signature, _))
            if signature.split(" (").next() == Some(self.f.fn_name()))
    }

    /// Whether the function says yes to an item.
    fn holds(&mut self, item: &mut Dynamic, index: usize) -> Answer<bool> {
        Ok(self.call(item, index)?.as_bool().unwrap_or(false))
    }
}

#[export_module]
mod functions {
    /// A list of what a function makes of each item. It takes the item, or the item and its index
    /// from 0, or nothing and finds the item as `this`.
    ///
    /// ```rhai
    /// assert_eq([1, 2, 3].map(|x| x * x), [1, 4, 9]);
    /// assert_eq(["a", "b"].map(|text, i| `${text}${i}`), ["a0", "b1"]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn map(ctx: NativeCallContext, list: &mut List, f: FnPtr) -> Answer<List> {
        let mut each = Each::new(ctx, f, "map");
        let items = list.iter_mut().enumerate();
        items.map(|(i, item)| each.call(item, i)).collect()
    }

    /// A list of the items for which a function gives `true`. It takes an item as `map` gives it.
    ///
    /// ```rhai
    /// assert_eq([1, 2, 3, 4].filter(|x| x % 2 == 0), [2, 4]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn filter(ctx: NativeCallContext, list: &mut List, f: FnPtr) -> Answer<List> {
        let mut each = Each::new(ctx, f, "filter");
        let mut kept = List::new();
        for (i, item) in list.iter_mut().enumerate() {
            if each.holds(item, i)? {
                kept.push(item.clone());
            }
        }
        Ok(kept)
    }

    /// Whether a function gives `true` for at least one item. It takes an item as `map` gives it.
    ///
    /// ```rhai
    /// assert([1, 2, 3].some(|x| x > 2));
    /// assert(![].some(|x| true));
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn some(ctx: NativeCallContext, list: &mut List, f: FnPtr) -> Answer<bool> {
        let mut each = Each::new(ctx, f, "some");
        for (i, item) in list.iter_mut().enumerate() {
            if each.holds(item, i)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a function gives `true` for every item. It takes an item as `map` gives it.
    ///
    /// ```rhai
    /// assert([1, 2, 3].all(|x| x > 0));
    /// assert([].all(|x| false));
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn all(ctx: NativeCallContext, list: &mut List, f: FnPtr) -> Answer<bool> {
        let mut each = Each::new(ctx, f, "all");
        for (i, item) in list.iter_mut().enumerate() {
            if !each.holds(item, i)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
