//! `mx::fft`: discrete Fourier transforms.

use crate::error::Result;
use crate::mlx::Array;
use crate::mlx::fourier::{self, FFTN, IFFTN, IRFFTN, RFFTN, Scaling, Transform};
use crate::script::bind::{Binder, Call};

/// The functions of the module.
pub fn bindings() -> Binder {
    let mut b = Binder::new();
    let kinds = [
        ("", FFTN, "The discrete Fourier transform"),
        ("i", IFFTN, "The inverse of the discrete Fourier transform"),
        (
            "r",
            RFFTN,
            "The Fourier transform of real numbers (its non-redundant half)",
        ),
        (
            "ir",
            IRFFTN,
            "The inverse of the Fourier transform of real numbers",
        ),
    ];
    for (prefix, which, doc) in kinds {
        transforms(&mut b, prefix, which, doc);
    }
    others(&mut b);
    b
}

fn transforms(b: &mut Binder, prefix: &str, which: Transform, doc: &str) {
    let half = prefix.contains('r');
    let inverse = prefix.starts_with('i');
    let example = |name: &str, axes: usize| {
        let shape = vec!["4"; axes].join(", ");
        let size = match (half, inverse) {
            (true, false) => 3,
            (true, true) => 6,
            _ => 4,
        };
        let before = "4, ".repeat(axes - 1);
        format!("assert_eq(mx::fft::{name}(mx::ones([{shape}])).shape, [{before}{size}]);")
    };
    let name = format!("{prefix}fft");
    b.function(
        &format!("{name}(a: Tensor, n: integer = (), axis: integer = -1, norm: string = \"backward\") -> Tensor"),
        &format!("{doc}, of one axis, cut or padded to `n`; `norm` is `\"backward\"`, `\"ortho\"` or `\"forward\"`."),
        &example(&name, 1),
        move |c| {
            let axis = c.int(2)?;
            run(c, which, c.axes(1)?, Some(vec![axis]), inverse && half)
        },
    );
    for (suffix, axes, words) in [
        ("2", "[-2, -1]", "of two axes"),
        ("n", "()", "of several axes, or of all"),
    ] {
        let name = format!("{prefix}fft{suffix}");
        b.function(
            &format!("{name}(a: Tensor, s: list = (), axes: integer or list = {axes}, norm: string = \"backward\") -> Tensor"),
            &format!("{doc}, {words}, cut or padded to the sizes `s`."),
            &example(&name, 2),
            move |c| run(c, which, c.axes(1)?, c.axes(2)?, inverse && half),
        );
    }
}

fn run(
    c: &Call,
    which: Transform,
    sizes: Option<Vec<i32>>,
    axes: Option<Vec<i32>>,
    doubles: bool,
) -> Result<Array> {
    let a = c.tensor(0)?;
    let n = a.ndim() as i32;
    let axes = axes.unwrap_or_else(|| match &sizes {
        Some(sizes) => (n - sizes.len() as i32..n).collect(),
        None => (0..n).collect(),
    });
    if axes.is_empty() || axes.iter().any(|axis| !(-n..n).contains(axis)) {
        return Err(c.wrong(2, &format!("axes of a tensor with {n}")));
    }
    let sizes = sizes.unwrap_or_else(|| {
        let mut sizes: Vec<i32> = axes.iter().map(|axis| a.dim(*axis)).collect();
        if let (true, Some(last)) = (doubles, sizes.last_mut()) {
            *last = (*last - 1) * 2;
        }
        sizes
    });
    if sizes.len() != axes.len() || sizes.iter().any(|size| *size < 1) {
        return Err(c.wrong(1, "a size of at least 1 for each axis"));
    }
    crate::tensor::check_size(&sizes)?;
    fourier::transform(which, &a, &sizes, &axes, Scaling::named(&c.text(3)?)?)
}

fn others(b: &mut Binder) {
    for (name, inverse, values) in [
        ("fftshift", false, "[3, 1, 2]"),
        ("ifftshift", true, "[2, 3, 1]"),
    ] {
        b.function(
            &format!("{name}(a: Tensor, axes: integer or list = ()) -> Tensor"),
            match inverse {
                false => "The zero frequency moved to the middle of axes.",
                true => "The zero frequency moved back to the start of axes.",
            },
            &format!("assert_eq(mx::fft::{name}(tensor([1, 2, 3])), {values});"),
            move |c| {
                let a = c.tensor(0)?;
                let axes = c.axes(1)?.unwrap_or_else(|| (0..a.ndim() as i32).collect());
                fourier::shift(&a, &axes, inverse)
            },
        );
    }
    for (name, half, values) in [
        ("fftfreq", false, "[0, 0.25, -0.5, -0.25]"),
        ("rfftfreq", true, "[0, 0.25, 0.5]"),
    ] {
        b.function(
            &format!("{name}(n: integer, d: number = 1.0) -> Tensor"),
            "The frequencies that belong to a transform of `n` samples at distance `d`.",
            &format!("assert_close(mx::fft::{name}(4), {values}, 1e-6);"),
            move |c| {
                let n = c.count(0)?;
                if n == 0 {
                    return Err(c.wrong(0, "at least 1"));
                }
                crate::tensor::check_size(&[n])?;
                fourier::frequencies(n, c.float(1)?, half)
            },
        );
    }
}
