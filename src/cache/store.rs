//! Buffers with one entry for each token.

use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype, device, item_size, ops, slice, slice_update};
use crate::tensor::dims4;
use mlx_rs::ops::{broadcast_to, concatenate, indexing, zeros_dtype};

/// By how many tokens buffers grow, as in mlx-lm.
pub(super) const STEP: i32 = 256;

/// Room for `n` tokens in a buffer. On CUDA, MLX leaves attention over a number of keys that is a
/// multiple of 256 to a kernel of cuDNN that takes two and a half times as long for a single query as
/// its own; a few tokens more keep it from that.
pub(super) fn room(n: i32) -> i32 {
    let is_cuda = cfg!(not(target_os = "macos")) && device::current() == device::Kind::Gpu;
    match is_cuda && n % STEP == 0 {
        true => n + 8,
        false => n,
    }
}

/// The axis of the tokens.
const TIME: usize = 2;

/// Arrays `[B, H, L, ..]` that are changed together: keys and values, or the parts of both in few
/// bits.
#[derive(Clone, Debug)]
pub struct Store(Vec<Array>);

impl Store {
    /// Keys and values of new tokens, checked against each other.
    pub fn new(keys: &Array, values: &Array) -> Result<Self> {
        let [b, h, n, _] = dims4(keys, "keys")?;
        let [vb, vh, vn, vd] = dims4(values, "values")?;
        if [b, h, n] != [vb, vh, vn] {
            let expected = format!("[{b}, {h}, {n}, {vd}], as the keys");
            return Err(Error::shape("values", expected, values.shape()));
        }
        if n == 0 {
            return Err(Error::value("keys", "no token", "at least one"));
        }
        Ok(Self(vec![keys.clone(), values.clone()]))
    }

    pub fn of(arrays: Vec<Array>) -> Self {
        Self(arrays)
    }

    pub fn arrays(&self) -> &[Array] {
        &self.0
    }

    /// Keys and values.
    pub fn pair(&self) -> (Array, Array) {
        (self.0[0].clone(), self.0[1].clone())
    }

    pub fn rows(&self) -> i32 {
        self.0[0].dim(0)
    }

    pub fn length(&self) -> i32 {
        self.0[0].dim(TIME as i32)
    }

    pub fn nbytes(&self) -> usize {
        let bytes = |a: &Array| a.size() * item_size(a.dtype());
        self.0.iter().map(bytes).sum()
    }

    fn map(&self, f: impl Fn(&Array) -> Result<Array>) -> Result<Self> {
        self.0.iter().map(f).collect::<Result<_>>().map(Self)
    }

    /// An error if `new` cannot stand behind what is here.
    pub fn check_like(&self, new: &Self) -> Result<()> {
        if self.rows() != new.rows() {
            let expected = format!("{} rows, as before", self.rows());
            return Err(Error::shape("keys", expected, new.0[0].shape()));
        }
        self.check_heads(new)
    }

    /// An error if the two are of different attention layers.
    pub fn check_heads(&self, other: &Self) -> Result<()> {
        for (ours, theirs) in self.0.iter().zip(&other.0) {
            let (a, b) = (ours.shape(), theirs.shape());
            if [a[1], a[3]] != [b[1], b[3]] {
                let expected = format!("[_, {}, _, {}], as the tokens before", a[1], a[3]);
                return Err(Error::shape("keys or values", expected, b));
            }
        }
        Ok(())
    }

    /// The tokens `start..stop`.
    pub fn part(&self, start: i32, stop: i32) -> Result<Self> {
        if start == 0 && stop == self.length() {
            return Ok(self.clone());
        }
        self.map(|a| {
            let [b, h, _, d] = dims4(a, "cache")?;
            slice(a, &[0, 0, start, 0], &[b, h, stop, d])
        })
    }

    /// Tokens written over those from `at` on; in place where nobody else holds the buffers.
    pub fn write(self, new: &Self, at: i32) -> Result<Self> {
        let stop = at + new.length();
        let both = self.0.into_iter().zip(&new.0);
        let arrays = both.map(|(old, new)| {
            let [b, h, _, d] = dims4(new, "cache")?;
            slice_update(&old, new, &[0, 0, at, 0], &[b, h, stop, d])
        });
        arrays.collect::<Result<_>>().map(Self)
    }

    /// Zeros of the same kind for `n` tokens.
    pub fn zeros(&self, rows: i32, n: i32) -> Result<Self> {
        self.map(|a| {
            let [_, h, _, d] = dims4(a, "cache")?;
            Ok(zeros_dtype(&[rows, h, n, d], a.dtype())?)
        })
    }

    /// Several stores one after another: in time.
    pub fn behind(parts: &[&Self]) -> Result<Self> {
        Self::concatenated(parts, TIME as i32)
    }

    /// Several stores one below another: as more rows.
    pub fn below(parts: &[&Self]) -> Result<Self> {
        Self::concatenated(parts, 0)
    }

    fn concatenated(parts: &[&Self], axis: i32) -> Result<Self> {
        let count = parts.first().map_or(0, |part| part.0.len());
        let arrays = (0..count).map(|i| {
            let list: Vec<&Array> = parts.iter().map(|part| &part.0[i]).collect();
            Ok(concatenate(&list, axis)?)
        });
        arrays.collect::<Result<_>>().map(Self)
    }

    /// Zeros before and behind the tokens; a negative number behind cuts.
    pub fn padded(&self, left: i32, right: i32) -> Result<Self> {
        let cut = match right < 0 {
            true => self.part(0, self.length() + right)?,
            false => self.clone(),
        };
        let (left, right) = (left.max(0), right.max(0));
        if left == 0 && right == 0 {
            return Ok(cut);
        }
        let before = self.zeros(self.rows(), left)?;
        let behind = self.zeros(self.rows(), right)?;
        Self::behind(&[&before, &cut, &behind])
    }

    /// Some rows, in the given order; a row may be named several times.
    pub fn take_rows(&self, rows: &[i32]) -> Result<Self> {
        let index = Array::from_slice(rows, &[rows.len() as i32]);
        self.map(|a| Ok(a.take_axis(&index, 0)?))
    }

    /// Every row `count` times.
    pub fn repeated(&self, count: i32) -> Result<Self> {
        self.map(|a| {
            let mut wide = a.shape().to_vec();
            wide.insert(1, count);
            let each = broadcast_to(a.expand_dims(1)?, &wide)?;
            let rows = wide.remove(0);
            wide[0] = rows * count;
            Ok(each.reshape(&wide)?)
        })
    }

    /// All rows moved by `shift` tokens to the right, what falls off coming in on the left.
    pub fn rolled(&self, shift: i32) -> Result<Self> {
        self.map(|a| ops::roll(a, &[shift], Some(&[TIME as i32])))
    }

    /// The same by a number of tokens for each row.
    pub fn rolled_rows(&self, shifts: &[i32]) -> Result<Self> {
        if shifts.iter().all(|shift| *shift == 0) {
            return Ok(self.clone());
        }
        let (rows, n) = (shifts.len() as i32, self.length());
        let sources = shifts
            .iter()
            .flat_map(|shift| (0..n).map(move |i| (i - shift).rem_euclid(n)));
        let index = Array::from_iter(sources, &[rows, 1, n, 1]);
        self.map(|a| {
            Ok(indexing::take_along_axis(
                a,
                &index.as_dtype(Dtype::Int32)?,
                TIME as i32,
            )?)
        })
    }

    /// Laid out in memory of its own.
    pub fn contiguous(&self) -> Result<Self> {
        self.map(|a| Ok(a.contiguous()?))
    }
}
