//! Formulas that loops of our own compute, with their gradients, on a CPU in float32.
//!
//! MLX's elementwise operations are scalar on a CPU, on one core, with a pass over memory each: they
//! were more than half of a training step of a small model. Each function here is one node of MLX's
//! graph, computed by a loop of `kernels` when its turn comes, and one more node for
//! the gradient. Gradients of gradients, `jvp` and `vmap` go through MLX's own operations, as
//! `xtask/native/host.cpp` has them, so nothing depends on how a node is used.
//!
//! Where there are no such nodes (another device or type, macOS) the answer is `None`, and the caller
//! takes MLX's operations.

use super::{Array, Dtype, device};
use crate::error::Result;

/// What [`attend`] leaves out.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// Nothing.
    All,
    /// The keys behind a query, the last query standing at the last key.
    Causal,
    /// Where a bool array `[B, H, L, S]` is false; sizes of 1 are repeated.
    Where(&'a Array),
}

/// `x / sqrt(mean(x^2) + eps) * weight` over the last axis.
///
/// # Shapes
/// - x: `[.., E]`; weight: `[E]`
/// - returns: `[.., E]`
pub fn rms_norm(x: &Array, weight: &Array, eps: f32) -> Result<Option<Array>> {
    let fits = weight.ndim() == 1 && x.ndim() > 0 && x.dim(-1) == weight.dim(0);
    match fits && x.dim(-1) > 0 && are_ours(&[x, weight]) {
        true => node(Kind::RmsNorm, &[x, weight], 2, [eps, 0.0]),
        false => Ok(None),
    }
}

/// `silu(gate) * up`.
///
/// # Shapes
/// - gate, up: one shape
/// - returns: the same
pub fn swiglu(gate: &Array, up: &Array) -> Result<Option<Array>> {
    match gate.shape() == up.shape() && are_ours(&[gate, up]) {
        true => node(Kind::SwiGlu, &[gate, up], 2, [0.0; 2]),
        false => Ok(None),
    }
}

/// Heads normalised one by one, where there is a weight, and turned by their position: with the two
/// halves of a head exchanged, `n * cosines + exchanged(n) * sines`.
///
/// # Shapes
/// - x: `[B, L, H, D]`; norm: `[D]` and its epsilon; cosines, sines: `[L, D]` or `[B, 1, L, D]`
/// - returns: `[B, L, H, D]`
pub fn turn(
    x: &Array,
    norm: Option<(&Array, f32)>,
    cosines: &Array,
    sines: &Array,
) -> Result<Option<Array>> {
    let &[b, l, _, d] = x.shape() else {
        return Ok(None);
    };
    let table = |t: &Array| t.shape() == [l, d] || t.shape() == [b, 1, l, d];
    let weighs = norm.is_none_or(|(weight, _)| weight.shape() == [d]);
    let fits = d > 0 && d % 2 == 0 && weighs && table(cosines) && sines.shape() == cosines.shape();
    let eps = norm.map_or(0.0, |(_, eps)| eps);
    let mut inputs = vec![x];
    inputs.extend(norm.map(|(weight, _)| weight));
    let differentiable = inputs.len();
    inputs.extend([cosines, sines]);
    match fits && are_ours(&inputs) {
        true => node(Kind::Turn, &inputs, differentiable, [eps, 0.0]),
        false => Ok(None),
    }
}

/// Attention of queries, several of which may share a head of keys and values.
///
/// # Shapes
/// - q: `[B, H, L, D]`; k, v: `[B, K, S, D]` with H a multiple of K
/// - returns: `[B, H, L, D]`, in memory with tokens before heads, so that joining them is free
pub fn attend(q: &Array, k: &Array, v: &Array, seen: Seen, scale: f32) -> Result<Option<Array>> {
    let (&[b, h, l, d], &[kb, kv, s, kd]) = (q.shape(), k.shape()) else {
        return Ok(None);
    };
    let fits = b == kb && d == kd && d > 0 && k.shape() == v.shape() && kv > 0 && h % kv == 0;
    let causal = matches!(seen, Seen::Causal);
    let mask = match seen {
        Seen::Where(mask) => {
            let wide = [b, h, l, s];
            let pairs = mask.shape().iter().zip(&wide);
            let repeats = mask.ndim() == 4 && pairs.into_iter().all(|(n, all)| n == all || *n == 1);
            if !repeats || mask.dtype() != Dtype::Bool {
                return Ok(None);
            }
            Some(mask)
        }
        _ => None,
    };
    if !fits || s == 0 || (causal && s < l) || !are_ours(&[q, k, v]) {
        return Ok(None);
    }
    let inputs: Vec<&Array> = [q, k, v].into_iter().chain(mask).collect();
    node(
        Kind::Attend,
        &inputs,
        3,
        [scale, f32::from(u8::from(causal))],
    )
}

fn are_ours(arrays: &[&Array]) -> bool {
    cfg!(not(target_os = "macos"))
        && arrays.iter().all(|a| a.dtype() == Dtype::Float32)
        && device::current() == device::Kind::Cpu
}

/// The numbers by which `host.cpp` knows the formulas.
#[derive(Clone, Copy)]
enum Kind {
    RmsNorm = 0,
    SwiGlu = 1,
    Turn = 2,
    Attend = 3,
}

#[cfg(target_os = "macos")]
fn node(_: Kind, _: &[&Array], _: usize, _: [f32; 2]) -> Result<Option<Array>> {
    Ok(None)
}

#[cfg(not(target_os = "macos"))]
fn node(
    kind: Kind,
    inputs: &[&Array],
    differentiable: usize,
    [first, second]: [f32; 2],
) -> Result<Option<Array>> {
    use super::kernels::{attend, norm, swiglu, turn};
    let [forward, backward]: [Kernel; 2] = match kind {
        Kind::RmsNorm => [norm::forward, norm::backward],
        Kind::SwiGlu => [swiglu::forward, swiglu::backward],
        Kind::Turn => [turn::forward, turn::backward],
        Kind::Attend => [attend::forward, attend::backward],
    };
    let plan = Plan {
        kind: kind as i32,
        differentiable: differentiable as i32,
        numbers: [first, second, 0.0, 0.0],
        forward,
        backward,
    };
    let inputs: Vec<Array> = inputs.iter().map(|a| (*a).clone()).collect();
    let list = super::raw::List::new(&inputs);
    // SAFETY: the plan is copied during the call, and the list keeps its arrays.
    super::raw::op(|res, stream| unsafe { mlx_repl_host(res, &plan, list.0, stream) }).map(Some)
}

#[cfg(not(target_os = "macos"))]
use super::kernels::Kernel;

/// `mlx_repl_plan` of `host.cpp`.
#[cfg(not(target_os = "macos"))]
#[repr(C)]
struct Plan {
    kind: i32,
    differentiable: i32,
    numbers: [f32; 4],
    forward: Kernel,
    backward: Kernel,
}

#[cfg(not(target_os = "macos"))]
unsafe extern "C" {
    fn mlx_repl_host(
        res: *mut mlx_sys::mlx_array,
        plan: *const Plan,
        inputs: mlx_sys::mlx_vector_array,
        stream: mlx_sys::mlx_stream,
    ) -> i32;
}
