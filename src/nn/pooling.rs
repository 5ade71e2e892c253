//! Pooling over windows, and its reverse.

use crate::error::{Error, Result};
use crate::mlx::{Array, ops as raw};
use crate::tensor::scalar;

/// What becomes of the elements of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    Max,
    /// The padding counts as zeros, as in MLX.
    Average,
}

/// Largest elements or averages of windows.
///
/// # Shapes
/// - x: `[B, .., C]` with one axis between for each entry of `kernel`, `stride` and `padding`
/// - returns: `[B, .., C]`, each size `(size + 2 padding - kernel) / stride + 1`, rounded down
///
/// # Errors
/// A window that is larger than the padded input, or not positive.
pub fn pool(
    x: &Array,
    kind: Pool,
    kernel: &[i32],
    stride: &[i32],
    padding: &[i32],
) -> Result<Array> {
    let n = kernel.len();
    if x.ndim() != n + 2 {
        let expected = format!("{} axes: [B, .., C] with {n} between", n + 2);
        return Err(Error::shape("input of pooling", &expected, x.shape()));
    }
    let positive = |name: &'static str, values: &[i32], least: i32| -> Result<()> {
        match values.iter().find(|v| **v < least) {
            Some(v) => Err(Error::setting(
                name,
                v.to_string(),
                &format!("at least {least}"),
            )),
            None => Ok(()),
        }
    };
    positive("kernel_size", kernel, 1)?;
    positive("stride", stride, 1)?;
    positive("padding", padding, 0)?;
    let x = pad(x, kind, padding)?;
    let sizes = &x.shape()[1..=n];
    if let Some(i) = (0..n).find(|i| kernel[*i] > sizes[*i]) {
        let expected = format!("at most {}, the size of the padded input", sizes[i]);
        return Err(Error::setting(
            "kernel_size",
            kernel[i].to_string(),
            &expected,
        ));
    }
    let windows = windows(&x, kernel, stride)?;
    let inner: Vec<i32> = (n as i32 + 1..=2 * n as i32).collect();
    Ok(match kind {
        Pool::Max => windows.max_axes(&inner, false)?,
        Pool::Average => windows.mean_axes(&inner, false)?,
    })
}

fn pad(x: &Array, kind: Pool, padding: &[i32]) -> Result<Array> {
    if padding.iter().all(|p| *p == 0) {
        return Ok(x.clone());
    }
    let filler = match kind {
        Pool::Max => scalar(f64::NEG_INFINITY, x)?,
        Pool::Average => scalar(0.0, x)?,
    };
    let axes: Vec<i32> = (1..=padding.len() as i32).collect();
    raw::pad(x, &axes, padding, padding, &filler, "constant")
}

/// Views of all windows: `[B, out.., kernel.., C]`.
fn windows(x: &Array, kernel: &[i32], stride: &[i32]) -> Result<Array> {
    let n = kernel.len();
    // A view by strides is one of memory in order.
    let x = x.contiguous()?;
    let mut steps = vec![1i64; n + 2];
    for i in (0..=n).rev() {
        steps[i] = steps[i + 1] * i64::from(x.dim(i as i32 + 1));
    }
    let (mut shape, mut strides) = (vec![x.dim(0)], vec![steps[0]]);
    for i in 0..n {
        shape.push((x.dim(i as i32 + 1) - kernel[i]) / stride[i] + 1);
        strides.push(steps[i + 1] * i64::from(stride[i]));
    }
    shape.extend(kernel);
    strides.extend(&steps[1..=n]);
    shape.push(x.dim(-1));
    strides.push(1);
    Ok(mlx_rs::ops::as_strided(&x, &shape[..], &strides[..], 0)?)
}
