//! Pooling and its reverse.

use crate::error::Result;
use crate::mlx::Array;
use crate::nn::{self, Interpolation, Pool, Upsample};
use crate::script::bind::{Binder, Call};
use crate::script::settings::float;
use rhai::Array as List;

/// Puts the functions into `nn`.
pub fn register(b: &mut Binder) {
    for n in 1..=3 {
        let ones = vec!["2"; n].join(", ");
        for (kind, name, doc) in [
            (Pool::Max, "max", "The largest element of each window"),
            (
                Pool::Average,
                "avg",
                "The average of each window, padding counted as 0",
            ),
        ] {
            b.function(
                &format!("{name}_pool{n}d(x: Tensor, kernel_size: integer or list, stride: integer or list = (), padding: integer or list = 0) -> Tensor"),
                &format!("{doc}: x `[B, .., C]` with {n} axes between. `stride` is the kernel's size by default."),
                &format!("assert_eq(nn::{name}_pool{n}d(mx::ones([1, {ones}, 3]), 2).sum(), 3);"),
                move |c| match n {
                    1 => pool::<1>(c, kind),
                    2 => pool::<2>(c, kind),
                    _ => pool::<3>(c, kind),
                },
            );
        }
    }
    b.function(
        "upsample(x: Tensor, scale_factor: number or list, mode: string = \"nearest\", align_corners: bool = false, antialias: bool = false) -> Tensor",
        "The axes between of `[B, .., C]`, longer by `scale_factor`; `mode` is `\"nearest\"`, `\"linear\"` or `\"cubic\"`.",
        "let x = tensor([[[1.0], [3.0]]]);
         assert_eq(nn::upsample(x, 2).reshape([-1]), [1, 1, 3, 3]);",
        upsample,
    );
}

fn pool<const N: usize>(c: &Call, kind: Pool) -> Result<Array> {
    let kernel: [i32; N] = c.each(1)?;
    let stride = if c.has(2) { c.each(2)? } else { kernel };
    nn::pool(&c.tensor(0)?, kind, &kernel, &stride, &c.each::<N>(3)?)
}

fn upsample(c: &Call) -> Result<Array> {
    let x = c.tensor(0)?;
    let mode = match c.choice(2, &["nearest", "linear", "cubic"])?.as_str() {
        "nearest" => Interpolation::Nearest,
        "linear" => Interpolation::Linear,
        _ => Interpolation::Cubic,
    };
    let scales: Vec<f64> = match c.get(1).read_lock::<List>() {
        Some(list) => {
            let scales: Option<Vec<f64>> = list.iter().map(float).collect();
            scales.ok_or_else(|| c.wrong(1, "a number, or a list of them"))?
        }
        None => vec![c.float(1)?; x.ndim().saturating_sub(2)],
    };
    let how = Upsample {
        mode,
        align_corners: c.flag(3)?,
        antialias: c.flag(4)?,
    };
    how.apply(&x, &scales)
}
