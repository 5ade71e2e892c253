//! Low-rank adapters (<https://arxiv.org/abs/2106.09685>), laid out and scaled as in mlx-lm.

use super::dropout;
use crate::error::Result;
use crate::mlx::{Array, Dtype};
use mlx_rs::ops;

/// What is added to a linear map: `scale * (dropout(x) A) B`.
#[derive(Clone, Debug)]
pub struct Lora {
    /// `[in, r]`; for experts `[E, r, in]`, so that the rank is the second size of both.
    pub a: Array,
    /// `[r, out]`; for experts `[E, out, r]`. Zeros at first, so that nothing is added.
    pub b: Array,
    /// A factor, not divided by the rank.
    pub scale: f32,
    /// The share of inputs that are dropped in training.
    pub dropout: f32,
    /// What dropout draws by; without it, nothing is dropped.
    pub key: Option<Array>,
}

impl Lora {
    /// An adapter for matrices of a shape `[out, in]`, or `[E, out, in]`: `A` uniform within
    /// `1 / sqrt(in)`, `B` zero, both in f32.
    pub fn new(shape: &[i32], settings: LoraShape, key: &Array) -> Result<Self> {
        let rank = settings.rank;
        let (a, b) = match *shape {
            [out, inputs] => (vec![inputs, rank], vec![rank, out]),
            [experts, out, inputs] => (vec![experts, rank, inputs], vec![experts, out, rank]),
            _ => return Err(crate::error::Error::shape("adapter", "[out, in]", shape)),
        };
        let inputs = shape.last().copied().unwrap_or(1).max(1);
        let bound = (inputs as f32).powf(-0.5);
        Ok(Self {
            a: mlx_rs::random::uniform::<_, f32>(-bound, bound, &a, key)?,
            b: ops::zeros_dtype(&b, Dtype::Float32)?,
            scale: settings.scale,
            dropout: settings.dropout,
            key: None,
        })
    }

    /// The rank of its product.
    pub fn rank(&self) -> i32 {
        self.a.dim(1)
    }

    /// `y` with the adapter's share, in the dtype of `y`; `times` multiplies by `A` and by `B`.
    ///
    /// The products are of the dtype of `x`: a matrix in f32 would turn every input of half precision
    /// into f32, which a training step then keeps beside it. The adapter itself stays in f32.
    pub(super) fn add_to<E>(
        &self,
        y: Array,
        x: &Array,
        times: impl Fn(&Array, &Array) -> Result<Array, E>,
    ) -> Result<Array>
    where
        crate::error::Error: From<E>,
    {
        let x = match &self.key {
            Some(key) => dropout(x, f64::from(self.dropout), false, Some(key))?,
            None => x.clone(),
        };
        let (a, b) = (self.a.as_dtype(x.dtype())?, self.b.as_dtype(x.dtype())?);
        let z = times(&times(&x, &a)?, &b)?;
        let z = z.multiply(Array::from_f32(self.scale).as_dtype(z.dtype())?)?;
        Ok(y.add(z.as_dtype(y.dtype())?)?)
    }

    /// What it adds to the weight, in f32.
    ///
    /// # Shapes
    /// - returns: as the weight
    pub fn delta(&self) -> Result<Array> {
        let product = match self.a.ndim() {
            2 => self.a.matmul(&self.b)?.transpose()?,
            _ => self.b.matmul(&self.a)?,
        };
        Ok(product.multiply(Array::from_f32(self.scale))?)
    }
}

/// The size and strength of an adapter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoraShape {
    pub rank: i32,
    pub scale: f32,
    pub dropout: f32,
}
