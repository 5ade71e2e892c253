//! `mx::`: array functions under MLX's names. Each is a method of `Tensor` too.

use super::convert::{axes, int};
use super::error::{Answer, At};
use super::lists::from_value;
use super::register::function;
use super::settings::Settings;
use super::tensor::{Tensor, beside};
use crate::error::{Error, Result};
use crate::mlx::{self, Array, Dtype};
use crate::tensor::mask::{MaskOptions, causal_mask};
use crate::tensor::remainder;
use mlx_rs::ops;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, INT, Map, Module, NativeCallContext};

/// The functions of a tensor, which serve as its methods.
pub fn of_tensors() -> Module {
    let mut module = Module::new();
    elementwise(&mut module);
    pairwise(&mut module);
    reductions(&mut module);
    along_axis(&mut module);
    module.combine(exported_module!(methods));
    module
}

/// The functions that make tensors, and those about the machine.
pub fn register(module: &mut Module) {
    module.combine(exported_module!(creation));
    module.set_sub_module("random", exported_module!(random));
}

type Unary = fn(&Array) -> Result<Array>;

fn elementwise(module: &mut Module) {
    let table: [(&str, &str, Unary); 18] = [
        ("abs", "The absolute value of each element.", |a| {
            Ok(a.abs()?)
        }),
        ("exp", "The exponential of each element.", |a| Ok(a.exp()?)),
        ("log", "The natural logarithm of each element.", |a| {
            Ok(a.log()?)
        }),
        (
            "log1p",
            "The natural logarithm of 1 plus each element.",
            |a| Ok(a.log1p()?),
        ),
        (
            "sqrt",
            "The square root of each element.",
            |a| Ok(a.sqrt()?),
        ),
        (
            "rsqrt",
            "1 divided by the square root of each element.",
            |a| Ok(a.rsqrt()?),
        ),
        ("square", "The square of each element.", |a| Ok(a.square()?)),
        ("negative", "Each element with the other sign.", |a| {
            Ok(a.negative()?)
        }),
        ("sin", "The sine of each element.", |a| Ok(a.sin()?)),
        ("cos", "The cosine of each element.", |a| Ok(a.cos()?)),
        ("tanh", "The hyperbolic tangent of each element.", |a| {
            Ok(ops::tanh(a)?)
        }),
        ("sigmoid", "1 / (1 + exp(-x)) of each element.", |a| {
            Ok(ops::sigmoid(a)?)
        }),
        ("floor", "Each element rounded down.", |a| Ok(a.floor()?)),
        ("ceil", "Each element rounded up.", |a| Ok(ops::ceil(a)?)),
        ("isnan", "True where an element is not a number.", |a| {
            Ok(a.is_nan()?)
        }),
        (
            "isfinite",
            "True where an element is a finite number.",
            |a| Ok(a.is_finite()?),
        ),
        ("logical_not", "True where an element is 0 or false.", |a| {
            Ok(a.logical_not()?)
        }),
        (
            "stop_gradient",
            "The same values, through which no gradient passes.",
            |a| mlx::autograd::stop_gradient(a),
        ),
    ];
    for (name, doc, f) in table {
        function(name, &["a: Tensor", "Tensor"], doc).set_into_module(
            module,
            move |ctx: NativeCallContext, a: &mut Tensor| -> Answer<Tensor> {
                f(&a.0).map(Tensor).at(&ctx)
            },
        );
    }
}

type Binary = fn(&Array, &Array) -> Result<Array>;

fn pairwise(module: &mut Module) {
    let table: [(&str, &str, Binary); 17] = [
        ("add", "Sums, with broadcasting.", |a, b| Ok(a.add(b)?)),
        ("subtract", "Differences, with broadcasting.", |a, b| {
            Ok(a.subtract(b)?)
        }),
        ("multiply", "Products, with broadcasting.", |a, b| {
            Ok(a.multiply(b)?)
        }),
        ("divide", "Quotients, with broadcasting.", |a, b| {
            Ok(a.divide(b)?)
        }),
        (
            "power",
            "Powers, with broadcasting.",
            |a, b| Ok(a.power(b)?),
        ),
        ("remainder", "Remainders, with broadcasting.", remainder),
        ("maximum", "The larger of two elements.", |a, b| {
            Ok(ops::maximum(a, b)?)
        }),
        ("minimum", "The smaller of two elements.", |a, b| {
            Ok(ops::minimum(a, b)?)
        }),
        ("equal", "True where elements are equal.", |a, b| {
            Ok(a.eq(b)?)
        }),
        ("not_equal", "True where elements differ.", |a, b| {
            Ok(a.ne(b)?)
        }),
        ("less", "True where the first is smaller.", |a, b| {
            Ok(a.lt(b)?)
        }),
        (
            "less_equal",
            "True where the first is not larger.",
            |a, b| Ok(a.le(b)?),
        ),
        ("greater", "True where the first is larger.", |a, b| {
            Ok(a.gt(b)?)
        }),
        (
            "greater_equal",
            "True where the first is not smaller.",
            |a, b| Ok(a.ge(b)?),
        ),
        ("logical_and", "True where both are.", |a, b| {
            Ok(a.logical_and(b)?)
        }),
        ("logical_or", "True where one is.", |a, b| {
            Ok(a.logical_or(b)?)
        }),
        (
            "matmul",
            "The matrix product over the last two axes.",
            |a, b| Ok(a.matmul(b)?),
        ),
    ];
    for (name, doc, f) in table {
        let params = ["a: Tensor", "b: Tensor or number", "Tensor"];
        function(name, &params, doc).set_into_module(
            module,
            move |ctx: NativeCallContext, a: &mut Tensor, b: Dynamic| -> Answer<Tensor> {
                let b = beside(&b, &a.0).at(&ctx)?;
                f(&a.0, &b).map(Tensor).at(&ctx)
            },
        );
    }
}

/// A reduction over given axes.
type Reduction = fn(&Array, &[i32], bool) -> mlx_rs::error::Result<Array>;

fn reductions(module: &mut Module) {
    let table: [(&str, &str, Reduction); 10] = [
        ("sum", "The sum", |a, x, k| a.sum_axes(x, k)),
        ("mean", "The mean", |a, x, k| a.mean_axes(x, k)),
        ("prod", "The product", |a, x, k| a.prod_axes(x, k)),
        ("max", "The largest element", |a, x, k| a.max_axes(x, k)),
        ("min", "The smallest element", |a, x, k| a.min_axes(x, k)),
        ("var", "The variance (n in the denominator)", |a, x, k| {
            ops::var_axes(a, x, k, 0)
        }),
        ("std", "The deviation (n in the denominator)", |a, x, k| {
            ops::std_axes(a, x, k, 0)
        }),
        ("all", "Whether all elements are true", |a, x, k| {
            a.all_axes(x, k)
        }),
        ("any", "Whether some element is true", |a, x, k| {
            a.any_axes(x, k)
        }),
        ("logsumexp", "log(sum(exp(x)))", |a, x, k| {
            ops::logsumexp_axes(a, x, k)
        }),
    ];
    for (name, doc, f) in table {
        let run = move |ctx: &NativeCallContext, a: &Array, axes: Option<Vec<i32>>, keep: bool| {
            let axes = axes.unwrap_or_else(|| (0..a.ndim() as i32).collect());
            f(a, &axes, keep).map(Tensor).map_err(Error::from).at(ctx)
        };
        let all = format!("{doc} of all elements; with an axis, or a list of axes, along those.");
        let define = |params: &[&str]| function(name, params, &all);
        define(&["a: Tensor", "Tensor"])
            .set_into_module(module, move |ctx: NativeCallContext, a: &mut Tensor| {
                run(&ctx, &a.0, None, false)
            });
        define(&["a: Tensor", "axis: integer or list", "Tensor"]).set_into_module(
            module,
            move |ctx: NativeCallContext, a: &mut Tensor, axis: Dynamic| match axis.is_map() {
                true => run(&ctx, &a.0, None, keepdims(&ctx, axis.cast())?),
                false => run(&ctx, &a.0, Some(axes_of(&axis).at(&ctx)?), false),
            },
        );
        define(&[
            "a: Tensor",
            "axis: integer or list",
            "settings: #{ keepdims }",
            "Tensor",
        ])
        .set_into_module(
            module,
            move |ctx: NativeCallContext, a: &mut Tensor, axis: Dynamic, settings: Map| {
                let keep = keepdims(&ctx, settings)?;
                run(&ctx, &a.0, Some(axes_of(&axis).at(&ctx)?), keep)
            },
        );
    }
}

fn keepdims(ctx: &NativeCallContext, settings: Map) -> Answer<bool> {
    Settings::read(ctx, "reduction", settings, |s| {
        let mut keep = false;
        s.boolean("keepdims", &mut keep)?;
        Ok(keep)
    })
}

fn axes_of(value: &Dynamic) -> Result<Vec<i32>> {
    match value.read_lock::<List>() {
        Some(list) => axes(&list),
        None => axes(&vec![value.clone()]),
    }
}

/// A function along one axis.
type Along = fn(&Array, i32) -> mlx_rs::error::Result<Array>;

fn along_axis(module: &mut Module) {
    let table: [(&str, &str, Along); 7] = [
        ("softmax", "exp(x) divided by its sum", |a, x| {
            ops::softmax_axis(a, x, true)
        }),
        ("log_softmax", "The logarithm of the softmax", |a, x| {
            a.subtract(ops::logsumexp_axis(a, x, true)?)
        }),
        ("argmax", "The position of the largest element", |a, x| {
            ops::indexing::argmax_axis(a, x, false)
        }),
        ("argmin", "The position of the smallest element", |a, x| {
            ops::indexing::argmin_axis(a, x, false)
        }),
        ("sort", "The elements in rising order", |a, x| {
            ops::sort_axis(a, x)
        }),
        ("argsort", "The positions that sort the elements", |a, x| {
            ops::argsort_axis(a, x)
        }),
        ("cumsum", "Sums of the elements so far", |a, x| {
            a.cumsum(x, false, true)
        }),
    ];
    for (name, doc, f) in table {
        let doc = format!("{doc}, along an axis (the last if none is given).");
        function(name, &["a: Tensor", "Tensor"], &doc).set_into_module(
            module,
            move |ctx: NativeCallContext, a: &mut Tensor| -> Answer<Tensor> {
                f(&a.0, -1).map(Tensor).map_err(Error::from).at(&ctx)
            },
        );
        function(name, &["a: Tensor", "axis: integer", "Tensor"], &doc).set_into_module(
            module,
            move |ctx: NativeCallContext, a: &mut Tensor, axis: INT| -> Answer<Tensor> {
                let axis = int(axis).at(&ctx)?;
                f(&a.0, axis).map(Tensor).map_err(Error::from).at(&ctx)
            },
        );
    }
}

fn shape_of(shape: &Dynamic) -> Result<Vec<i32>> {
    let shape = axes_of(shape)?;
    match shape.iter().find(|size| **size < 0) {
        Some(size) => Err(Error::value("shape", size, "sizes of at least 0")),
        None => crate::tensor::check_size(&shape).map(|()| shape),
    }
}

fn tensors(list: &List) -> Result<Vec<Array>> {
    list.iter().map(from_value).collect()
}

/// Settings of random functions: the key of a seed, or the session's next.
fn random_key(settings: &mut Settings) -> Result<Array> {
    let seed = settings.integer("seed")?.map(|seed| seed as u64);
    mlx::random::key(seed.unwrap_or_else(mlx::random::fresh_seed))
}

#[export_module]
mod methods {
    /// The same elements in another shape; one size may be -1.
    #[rhai_fn(global, pure, return_raw)]
    pub fn reshape(ctx: NativeCallContext, a: &mut Tensor, shape: List) -> Answer<Tensor> {
        let make = || Ok(Tensor(a.0.reshape(&axes(&shape)?)?));
        make().at(&ctx)
    }

    /// The axes in reverse order.
    #[rhai_fn(global, pure, return_raw)]
    pub fn transpose(ctx: NativeCallContext, a: &mut Tensor) -> Answer<Tensor> {
        a.0.transpose().map(Tensor).map_err(Error::from).at(&ctx)
    }

    /// The axes in a given order.
    #[rhai_fn(global, name = "transpose", pure, return_raw)]
    pub fn transpose_to(ctx: NativeCallContext, a: &mut Tensor, order: List) -> Answer<Tensor> {
        let make = || Ok(Tensor(a.0.transpose_axes(&axes(&order)?)?));
        make().at(&ctx)
    }

    /// With a new axis of size 1.
    #[rhai_fn(global, pure, return_raw)]
    pub fn expand_dims(ctx: NativeCallContext, a: &mut Tensor, axis: INT) -> Answer<Tensor> {
        let make = || Ok(Tensor(a.0.expand_dims(int(axis)?)?));
        make().at(&ctx)
    }

    /// Without the axes of size 1.
    #[rhai_fn(global, pure, return_raw)]
    pub fn squeeze(ctx: NativeCallContext, a: &mut Tensor) -> Answer<Tensor> {
        a.0.squeeze().map(Tensor).map_err(Error::from).at(&ctx)
    }

    /// As another element type.
    #[rhai_fn(global, pure, return_raw)]
    pub fn astype(ctx: NativeCallContext, a: &mut Tensor, dtype: &str) -> Answer<Tensor> {
        let make = || Ok(Tensor(a.0.as_dtype(crate::tensor::dtype::parse(dtype)?)?));
        make().at(&ctx)
    }

    /// Repeated to fill a shape.
    #[rhai_fn(global, pure, return_raw)]
    pub fn broadcast_to(ctx: NativeCallContext, a: &mut Tensor, shape: List) -> Answer<Tensor> {
        let make = || {
            let shape = axes(&shape)?;
            crate::tensor::check_size(&shape)?;
            Ok(Tensor(ops::broadcast_to(&a.0, &shape)?))
        };
        make().at(&ctx)
    }

    /// The elements at positions of an axis.
    #[rhai_fn(global, pure, return_raw)]
    pub fn take(
        ctx: NativeCallContext,
        a: &mut Tensor,
        index: Tensor,
        axis: INT,
    ) -> Answer<Tensor> {
        let make = || Ok(Tensor(a.0.take_axis(&index.0, int(axis)?)?));
        make().at(&ctx)
    }
}

#[export_module]
mod creation {
    /// Zeros of a shape.
    ///
    /// # Example
    ///
    /// ```rhai
    /// assert_eq(mx::zeros([2, 3]).shape, [2, 3]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn zeros(ctx: NativeCallContext, shape: Dynamic) -> Answer<Tensor> {
        let make = || {
            Ok(Tensor(ops::zeros_dtype(
                &shape_of(&shape)?,
                Dtype::Float32,
            )?))
        };
        make().at(&ctx)
    }

    /// Ones of a shape.
    #[rhai_fn(return_raw)]
    pub fn ones(ctx: NativeCallContext, shape: Dynamic) -> Answer<Tensor> {
        let make = || Ok(Tensor(ops::ones_dtype(&shape_of(&shape)?, Dtype::Float32)?));
        make().at(&ctx)
    }

    /// A value everywhere in a shape.
    #[rhai_fn(return_raw)]
    pub fn full(ctx: NativeCallContext, shape: Dynamic, value: Dynamic) -> Answer<Tensor> {
        let make = || {
            let value = from_value(&value)?;
            Ok(Tensor(ops::broadcast_to(&value, &shape_of(&shape)?)?))
        };
        make().at(&ctx)
    }

    /// The identity matrix of n rows.
    #[rhai_fn(return_raw)]
    pub fn eye(ctx: NativeCallContext, n: INT) -> Answer<Tensor> {
        let make = || Ok(Tensor(ops::eye::<f32>(int(n)?, None, None)?));
        make().at(&ctx)
    }

    /// The integers from 0 up to, not including, `stop`.
    #[rhai_fn(return_raw)]
    pub fn arange(ctx: NativeCallContext, stop: INT) -> Answer<Tensor> {
        let make = || Ok(Tensor(Array::arange::<_, i32>(None, int(stop)?, None)?));
        make().at(&ctx)
    }

    /// The integers from `start` up to, not including, `stop`.
    #[rhai_fn(name = "arange", return_raw)]
    pub fn arange_from(ctx: NativeCallContext, start: INT, stop: INT) -> Answer<Tensor> {
        let make = || {
            Ok(Tensor(Array::arange::<_, i32>(
                int(start)?,
                int(stop)?,
                None,
            )?))
        };
        make().at(&ctx)
    }

    /// `count` numbers from `start` to `stop`, both included.
    #[rhai_fn(return_raw)]
    pub fn linspace(
        ctx: NativeCallContext,
        start: Dynamic,
        stop: Dynamic,
        count: INT,
    ) -> Answer<Tensor> {
        let make = || {
            let number = |value: &Dynamic| {
                crate::script::settings::float(value)
                    .ok_or_else(|| Error::value("linspace", value.type_name(), "numbers"))
            };
            let (start, stop) = (number(&start)?, number(&stop)?);
            let count = int(count)?.max(0);
            let step = (stop - start) / f64::from((count - 1).max(1));
            let values = (0..count).map(|i| (start + f64::from(i) * step) as f32);
            Ok(Tensor(Array::from_iter(values, &[count])))
        };
        make().at(&ctx)
    }

    /// Tensors one after another along an axis.
    #[rhai_fn(return_raw)]
    pub fn concatenate(ctx: NativeCallContext, list: List, axis: INT) -> Answer<Tensor> {
        let make = || Ok(Tensor(ops::concatenate(&tensors(&list)?, int(axis)?)?));
        make().at(&ctx)
    }

    /// Tensors of one shape along a new axis.
    #[rhai_fn(return_raw)]
    pub fn stack(ctx: NativeCallContext, list: List, axis: INT) -> Answer<Tensor> {
        let make = || Ok(Tensor(ops::stack(&tensors(&list)?, int(axis)?)?));
        make().at(&ctx)
    }

    /// Where `condition` is true the one, elsewhere the other.
    #[rhai_fn(name = "where", return_raw)]
    pub fn select(
        ctx: NativeCallContext,
        condition: Tensor,
        yes: Dynamic,
        no: Dynamic,
    ) -> Answer<Tensor> {
        let make = || {
            let (yes, no) = (from_value(&yes)?, from_value(&no)?);
            Ok(Tensor(ops::select(&condition.0, &yes, &no)?))
        };
        make().at(&ctx)
    }

    /// The causal mask of n positions, true = may attend: bool `[n, n]`.
    #[rhai_fn(name = "causal_mask", return_raw)]
    pub fn causal_mask_plain(ctx: NativeCallContext, n: INT) -> Answer<Tensor> {
        let make = || causal_mask(int(n)?, &MaskOptions::default()).map(Tensor);
        make().at(&ctx)
    }

    /// The causal mask of n queries: bool `[n, offset + n]`, or `[B, 1, n, offset + n]` with a
    /// padding list. Settings: `offset`, `window`, `left_padding`, `right_padding`.
    #[rhai_fn(name = "causal_mask", return_raw)]
    pub fn causal_mask_with(ctx: NativeCallContext, n: INT, settings: Map) -> Answer<Tensor> {
        let options = Settings::read(&ctx, "causal_mask", settings, |s| {
            let mut options = MaskOptions::default();
            s.count("offset", &mut options.offset)?;
            options.window = s.integer("window")?.map(int).transpose()?;
            options.left_padding = s.ids("left_padding")?;
            options.right_padding = s.ids("right_padding")?;
            Ok(options)
        })?;
        let make = || crate::tensor::mask::causal_mask(int(n)?, &options).map(Tensor);
        make().at(&ctx)
    }

    /// Seeds everything random that has no seed of its own.
    #[rhai_fn(return_raw)]
    pub fn seed(ctx: NativeCallContext, n: INT) -> Answer<()> {
        mlx::random::seed(n as u64).at(&ctx)
    }

    /// The device in use, `"cpu"` or `"gpu"`.
    pub fn device() -> String {
        mlx::device::current().name().into()
    }

    /// Memory of MLX in bytes: `#{ active, peak, cache }`.
    #[rhai_fn(return_raw)]
    pub fn memory(ctx: NativeCallContext) -> Answer<Map> {
        let memory = mlx::memory::memory().at(&ctx)?;
        let parts = [
            ("active", memory.active),
            ("peak", memory.peak),
            ("cache", memory.cache),
        ];
        let entries = parts.into_iter();
        Ok(entries
            .map(|(name, bytes)| (name.into(), (bytes as INT).into()))
            .collect())
    }
}

#[export_module]
mod random {
    /// Normal numbers of a shape; settings: `seed`, `mean`, `std`.
    #[rhai_fn(name = "normal", return_raw)]
    pub fn normal(ctx: NativeCallContext, shape: Dynamic, settings: Map) -> Answer<Tensor> {
        let (key, mean, std) = Settings::read(&ctx, "normal", settings, |s| {
            let (mut mean, mut std) = (0.0, 1.0);
            s.single("mean", &mut mean)?;
            s.single("std", &mut std)?;
            Ok((random_key(s)?, mean, std))
        })?;
        let make = || {
            let shape = shape_of(&shape)?;
            Ok(Tensor(mlx_rs::random::normal::<f32>(
                &shape, mean, std, &key,
            )?))
        };
        make().at(&ctx)
    }

    /// Numbers of a shape between `low` (0) and `high` (1); settings: `seed`, `low`, `high`.
    #[rhai_fn(name = "uniform", return_raw)]
    pub fn uniform(ctx: NativeCallContext, shape: Dynamic, settings: Map) -> Answer<Tensor> {
        let (key, low, high) = Settings::read(&ctx, "uniform", settings, |s| {
            let (mut low, mut high) = (0.0f32, 1.0f32);
            s.single("low", &mut low)?;
            s.single("high", &mut high)?;
            Ok((random_key(s)?, low, high))
        })?;
        let make = || {
            let shape = shape_of(&shape)?;
            let random = mlx_rs::random::uniform::<_, f32>(low, high, shape.as_slice(), &key)?;
            Ok(Tensor(random))
        };
        make().at(&ctx)
    }

    /// Normal numbers of a shape.
    #[rhai_fn(name = "normal", return_raw)]
    pub fn normal_plain(ctx: NativeCallContext, shape: Dynamic) -> Answer<Tensor> {
        normal(ctx, shape, Map::new())
    }

    /// Numbers of a shape between 0 and 1.
    #[rhai_fn(name = "uniform", return_raw)]
    pub fn uniform_plain(ctx: NativeCallContext, shape: Dynamic) -> Answer<Tensor> {
        uniform(ctx, shape, Map::new())
    }
}
