//! `Optimizer`: a rule, its learning rate, and what it remembers.

use super::bind::{Call, Spec, define};
use super::error::callback;
use super::settings::float;
use super::tensor::Tensor;
use super::tree::{check_form, leaves, replace, with_leaves};
use crate::error::{Error, Result};
use crate::mlx::{Array, eval};
use crate::optim::{self as native, Rule, WarmUp};
use crate::tensor::item;
use rhai::{Dynamic, Engine, FnPtr, INT, Map, Module, NativeCallContext};
use std::cell::RefCell;
use std::rc::Rc;

/// Where a learning rate comes from.
#[derive(Clone)]
pub enum Rate {
    Fixed(f64),
    Schedule(WarmUp),
    Closure(FnPtr),
}

impl Rate {
    /// A number, a schedule or a function.
    pub fn from_value(value: &Dynamic) -> Option<Self> {
        if let Some(number) = float(value) {
            return Some(Self::Fixed(number));
        }
        if let Some(schedule) = value.read_lock::<WarmUp>() {
            return Some(Self::Schedule(*schedule));
        }
        value.clone().try_cast::<FnPtr>().map(Self::Closure)
    }

    /// Whether a fixed rate is one.
    pub fn is_valid(&self) -> bool {
        match self {
            Self::Fixed(rate) => rate.is_finite() && *rate >= 0.0,
            _ => true,
        }
    }

    /// The rate of a step, counted from 0.
    fn at(&self, step: u64, ctx: &NativeCallContext) -> Result<f64> {
        let f = match self {
            Self::Fixed(rate) => return Ok(*rate),
            Self::Schedule(schedule) => return Ok(schedule.rate(step)),
            Self::Closure(f) => f,
        };
        let step = Dynamic::from_int(step as INT);
        let value = f.call_raw(ctx, None, [step]).map_err(callback)?;
        let number = match value.read_lock::<Tensor>() {
            Some(tensor) => Some(f64::from(item(&tensor.0)?)),
            None => float(&value),
        };
        number.filter(|rate| rate.is_finite()).ok_or_else(|| {
            let found = super::convert::brief(&value);
            Error::value("the learning rate's function", found, "a finite number")
        })
    }
}

struct Inner {
    native: native::Optimizer,
    rate: Rate,
    /// The rate of the last step, or of the first before it.
    current: f64,
    /// The form of the parameters, with nothing in its leaves.
    form: Dynamic,
}

/// A handle: copies are the same optimiser.
#[derive(Clone)]
pub struct Optimizer(Rc<RefCell<Inner>>);

impl Optimizer {
    /// A fresh one.
    pub fn new(rule: Rule, rate: Rate, ctx: &NativeCallContext) -> Result<Self> {
        let current = rate.at(0, ctx)?;
        let native = native::Optimizer::functional(rule);
        Ok(Self(Rc::new(RefCell::new(Inner {
            native,
            rate,
            current,
            form: Dynamic::UNIT,
        }))))
    }
}

fn this(c: &Call) -> Result<Optimizer> {
    let optimizer = c.get(0).clone().try_cast::<Optimizer>();
    optimizer.ok_or_else(|| c.wrong(0, "an optimizer"))
}

/// Puts the methods of the type into a module.
pub fn register(engine: &mut Engine, methods: &mut Module) {
    engine.register_type_with_name::<Optimizer>("Optimizer");
    let of = |signature| Spec::new(signature).of::<Optimizer>();
    define(
        methods,
        of(
            "update(optimizer: Optimizer, params: Tensor or list or map, grads: Tensor or list or map) -> Tensor or list or map",
        ),
        "The parameters after a step along their gradients; both of one form.",
        "let o = optim::sgd(0.5);
         let params = o.update(#{ w: tensor([1.0]) }, #{ w: tensor([2.0]) });
         assert_eq(params.w, [0]);",
        update,
    );
    define(
        methods,
        of("state(optimizer: Optimizer) -> map"),
        "`#{ step, learning_rate, params }`: what the next step depends on; `params` has the form of the parameters, with a map of arrays for each.",
        "let o = optim::adam(0.1);
         o.update(#{ w: tensor([1.0]) }, #{ w: tensor([2.0]) });
         assert_close(o.state().params.w.m, [0.2], 1e-6);",
        state,
    );
    define(
        methods,
        of("set_state(optimizer: Optimizer, state: map)"),
        "Goes on from what `state()` gave, here or in an earlier session.",
        "let first = optim::adam(0.1);
         let p = first.update(tensor([1.0]), tensor([2.0]));
         let second = optim::adam(0.1);
         second.set_state(first.state());
         assert_eq(second.update(p, tensor([1.0])), first.update(p, tensor([1.0])));",
        set_state,
    );
    define(
        methods,
        of("get$learning_rate(optimizer: Optimizer) -> number"),
        "The learning rate of the last step, or of the first before it; a number, a schedule or a function may be assigned.",
        "let o = optim::sgd(0.1);
         o.learning_rate = 0.2;
         assert_eq(o.learning_rate, 0.2);",
        |c| Ok(this(c)?.0.borrow().current),
    );
    define(
        methods,
        of(
            "set$learning_rate(optimizer: Optimizer, learning_rate: number or Schedule or function)",
        ),
        "",
        "",
        |c| {
            let rate = Rate::from_value(c.get(1)).filter(Rate::is_valid);
            let expected = "a number of at least 0, a schedule, or a function of the step";
            let rate = rate.ok_or_else(|| c.wrong(1, expected))?;
            let optimizer = this(c)?;
            let step = optimizer.0.borrow().native.steps();
            let current = rate.at(step, c.ctx)?;
            let mut inner = optimizer.0.borrow_mut();
            (inner.rate, inner.current) = (rate, current);
            Ok(())
        },
    );
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

fn show(optimizer: &mut Optimizer) -> String {
    let inner = optimizer.0.borrow();
    let (rule, steps) = (inner.native.rule(), inner.native.steps());
    let rule = format!("{rule:?}");
    format!(
        "Optimizer({rule}, learning_rate: {}, steps: {steps})",
        inner.current
    )
}

fn update(c: &Call) -> Result<Dynamic> {
    let optimizer = this(c)?;
    let (params, grads) = (c.get(1), c.get(2));
    check_form(grads, params, "gradients")?;
    let (arrays, gradients) = (leaves(params)?, leaves(grads)?);
    // The function of a schedule may look at this very optimiser.
    let (rate, step) = {
        let inner = optimizer.0.borrow();
        (inner.rate.clone(), inner.native.steps())
    };
    let rate = rate.at(step, c.ctx)?;
    let mut inner = optimizer.0.borrow_mut();
    let updated = inner.native.update(&arrays, &gradients, rate)?;
    inner.current = rate;
    inner.form = with_leaves(params, &vec![Array::from_int(0); arrays.len()])?;
    // Evaluated here, or the graph of a loop that looks at nothing would grow without end.
    if !crate::mlx::autograd::is_tracing() {
        eval(updated.iter().chain(inner.native.state().iter().flatten()))?;
    }
    with_leaves(params, &updated)
}

fn state(c: &Call) -> Result<Map> {
    let optimizer = this(c)?;
    let inner = optimizer.0.borrow();
    let rule = inner.native.rule();
    let mut kept = inner.native.state().iter();
    let params = match inner.form.is_unit() {
        true => Dynamic::UNIT,
        false => replace(&inner.form, &mut |_| {
            let slots = kept.next().map_or(&[][..], Vec::as_slice);
            Ok(Dynamic::from_map(named(rule, slots)))
        })?,
    };
    let mut map = Map::new();
    map.insert(
        "step".into(),
        Dynamic::from_int(inner.native.steps() as INT),
    );
    map.insert("learning_rate".into(), inner.current.into());
    map.insert("params".into(), params);
    Ok(map)
}

/// The arrays of one parameter by their names.
fn named(rule: Rule, slots: &[Array]) -> Map {
    // A factored rule has other names for matrices than for vectors.
    let shape = [0; 2];
    let names = [rule.slots(&shape), rule.slots(&shape[..1])];
    let names = names.into_iter().find(|names| names.len() == slots.len());
    let pairs = names.unwrap_or_default().into_iter().zip(slots);
    pairs
        .map(|(name, array)| (name.into(), Dynamic::from(Tensor::new(array.clone()))))
        .collect()
}

fn set_state(c: &Call) -> Result<()> {
    let optimizer = this(c)?;
    let wrong = || c.wrong(1, "what state() gave: #{ step, learning_rate, params }");
    let map = c.get(1).clone().try_cast::<Map>().ok_or_else(wrong)?;
    let step = map.get("step").and_then(|step| step.as_int().ok());
    let step = step
        .and_then(|step| u64::try_from(step).ok())
        .ok_or_else(wrong)?;
    let params = map.get("params").cloned().unwrap_or(Dynamic::UNIT);
    let mut inner = optimizer.0.borrow_mut();
    let rule = inner.native.rule();
    let mut kept = Vec::new();
    let form = slots_of(&params, rule, &mut kept).ok_or_else(wrong)?;
    inner.native.set_state(kept, step);
    inner.form = form;
    if let (Rate::Fixed(_), Some(rate)) = (&inner.rate, map.get("learning_rate").and_then(float)) {
        (inner.rate, inner.current) = (Rate::Fixed(rate), rate);
    }
    Ok(())
}

/// Collects the arrays of each parameter, in the order of the tree, and gives the tree's form.
fn slots_of(value: &Dynamic, rule: Rule, into: &mut Vec<Vec<Array>>) -> Option<Dynamic> {
    if value.is_unit() {
        return Some(Dynamic::UNIT);
    }
    if let Some(list) = value.read_lock::<rhai::Array>() {
        let list: Option<rhai::Array> = list.iter().map(|v| slots_of(v, rule, into)).collect();
        return list.map(Dynamic::from);
    }
    let map = value.read_lock::<Map>()?;
    let is_leaf = map.values().all(Dynamic::is::<Tensor>);
    let names: Vec<&str> = map.keys().map(|key| key.as_str()).collect();
    let shape = [0; 2];
    if is_leaf && [rule.slots(&shape), rule.slots(&shape[..1])].contains(&names) {
        let arrays = map
            .values()
            .filter_map(|v| Some(v.read_lock::<Tensor>()?.array()));
        into.push(arrays.collect());
        return Some(Dynamic::from(Tensor::new(Array::from_int(0))));
    }
    let fields = map.iter();
    let map: Option<Map> = fields
        .map(|(name, v)| Some((name.clone(), slots_of(v, rule, into)?)))
        .collect();
    map.map(Dynamic::from)
}
