//! The loops behind [`host`](super::host): plain Rust that the compiler turns into vector
//! instructions, of the kind that the processor at hand has.
//!
//! What a loop gives depends on its inputs alone: work is cut into parts of a fixed size, whoever
//! does them, and a row comes out the same whatever other rows there are.

pub(super) mod attend;
pub(super) mod norm;
mod product;
pub(super) mod swiglu;
pub(super) mod turn;

use rayon::prelude::*;
use std::ops::Range;

/// What computes a node: its inputs, its outputs, and the constants of its formula.
pub(super) type Kernel = unsafe extern "C" fn(*const View, usize, *const View, *const f32);

/// Numbers that are worked on side by side.
const LANES: usize = 16;

/// Fewer numbers than this are not worth another thread.
const WORTH_THREADS: usize = 1 << 16;

/// `mlx_repl_view` of `host.cpp`: where an array lies. Missing dimensions come first, with size 1;
/// steps count elements.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    data: *mut f32,
    shape: [i64; 4],
    strides: [i64; 4],
}

// SAFETY: a view is an address and numbers; whoever follows the address says why it may.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// The sizes.
    fn dims(&self) -> [usize; 4] {
        self.shape.map(|n| n as usize)
    }

    fn size(&self) -> usize {
        self.dims().into_iter().product()
    }

    /// The numbers of an array that lies in the order of its indices.
    ///
    /// # Safety
    /// It does so, and nobody writes there for as long as the slice lives.
    unsafe fn numbers<'a>(&self) -> &'a [f32] {
        match self.size() {
            0 => &[],
            // SAFETY: the caller's promise.
            size => unsafe { std::slice::from_raw_parts(self.data, size) },
        }
    }

    /// The same, to write.
    ///
    /// # Safety
    /// Nobody else reads or writes there for as long as the slice lives.
    unsafe fn numbers_mut<'a>(&self) -> &'a mut [f32] {
        match self.size() {
            0 => &mut [],
            // SAFETY: the caller's promise.
            size => unsafe { std::slice::from_raw_parts_mut(self.data, size) },
        }
    }

    /// Where the row of three indices begins.
    fn row(&self, index: [usize; 3]) -> *mut f32 {
        let steps = index.iter().zip(&self.strides);
        let offset: i64 = steps.map(|(i, step)| *i as i64 * step).sum();
        self.data.wrapping_offset(offset as isize)
    }
}

/// Calls `work` with the ranges of `per` of `0..count`, on several cores where `numbers`, the size of
/// everything, is worth it.
fn in_parts(count: usize, per: usize, numbers: usize, work: impl Fn(Range<usize>) + Sync) {
    let per = per.max(1);
    let range = |i: usize| i * per..(i * per + per).min(count);
    let parts = count.div_ceil(per);
    match parts > 1 && numbers >= WORTH_THREADS {
        true => (0..parts).into_par_iter().for_each(|i| work(range(i))),
        false => (0..parts).for_each(|i| work(range(i))),
    }
}

/// A place that parts of one work write to, each to its own numbers.
#[derive(Clone, Copy)]
struct Place(*mut f32);

// SAFETY: an address; `rows` says who may follow it.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Place {
    /// The numbers of some rows of a width.
    ///
    /// # Safety
    /// They are there, and of nobody else for as long as the slice lives.
    unsafe fn rows<'a>(self, rows: &Range<usize>, width: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe {
            std::slice::from_raw_parts_mut(self.0.add(rows.start * width), rows.len() * width)
        }
    }
}

/// The sum of `f` over places, as sixteen sums side by side.
#[inline(always)]
fn summed(width: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let whole = width / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += f(start + i);
        }
    }
    for i in whole..width {
        sums[i - whole] += f(i);
    }
    halved(sums)
}

/// The sum of sixteen numbers, in the order of a tree.
#[inline(always)]
fn halved(mut sums: [f32; LANES]) -> f32 {
    let mut n = LANES / 2;
    while n > 0 {
        for i in 0..n {
            sums[i] += sums[i + n];
        }
        n /= 2;
    }
    sums[0]
}
