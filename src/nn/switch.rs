//! Linear maps of which each token uses some: the experts of a mixture.

use super::activations::swiglu;
use super::lora::Lora;
use super::matrix::Matrix;
use super::params::{Layer, Params, VisitLayer, join};
use crate::error::Result;
use crate::mlx::Array;
use crate::mlx::autograd::stop_gradient;
use mlx_rs::ops;

/// From so many (token, expert) pairs on, tokens are brought together by expert: each matrix is
/// then read once. mlx-lm draws the line here too.
const WORTH_SORTING: usize = 64;

/// One linear map for each expert.
#[derive(Clone, Debug)]
pub struct SwitchLinear {
    /// `[E, out, in]`
    pub weight: Matrix,
    pub lora: Option<Lora>,
}

impl SwitchLinear {
    /// Maps without an adapter.
    pub fn new(weight: Array) -> Self {
        Self {
            weight: Matrix::Plain(weight),
            lora: None,
        }
    }

    /// # Shapes
    /// - x: `[.., 1, in]`; experts: integers `[..]`
    /// - returns: `[.., 1, out]`
    fn forward(&self, x: &Array, experts: &Array, sorted: bool) -> Result<Array> {
        let y = self.weight.multiply_chosen(x, experts, sorted)?;
        match &self.lora {
            Some(lora) => lora.add_to(y, x, |x, matrices| {
                ops::gather_mm(x, matrices.swap_axes(-1, -2)?, None, experts, sorted)
            }),
            None => Ok(y),
        }
    }
}

/// The gated feed-forward layer of every expert.
#[derive(Clone, Debug)]
pub struct SwitchGlu {
    pub gate_proj: SwitchLinear,
    pub up_proj: SwitchLinear,
    pub down_proj: SwitchLinear,
}

impl SwitchGlu {
    /// The answer of each of the k experts that a token chose.
    ///
    /// # Shapes
    /// - x: `[B, L, E]`; experts: integers `[B, L, k]`
    /// - returns: `[B, L, k, E]`
    pub fn forward(&self, x: &Array, experts: &Array) -> Result<Array> {
        // Which expert was chosen has no gradient; MLX refuses to look for one.
        let experts = stop_gradient(experts)?;
        let x = x.expand_dims_axes(&[-2, -3])?;
        if experts.size() < WORTH_SORTING {
            return Ok(self.experts(&x, &experts, false)?.squeeze_axes(&[-2])?);
        }
        // 1. One row for each pair of token and expert, in the order of the experts.
        let k = experts.dim(-1);
        let flat = experts.flatten(None, None)?;
        let order = stop_gradient(&ops::argsort(&flat)?)?;
        let back = stop_gradient(&ops::argsort(&order)?)?;
        let tokens = ops::floor_divide(&order, Array::from_int(k).as_dtype(order.dtype())?)?;
        let rows = x.flatten(0, -3)?.take_axis(&tokens, 0)?;
        let by_expert = flat.take_axis(&order, 0)?;
        // 2. Each expert's rows together, and back to the order of the tokens.
        let y = self.experts(&rows, &by_expert, true)?.take_axis(&back, 0)?;
        let mut shape = experts.shape().to_vec();
        shape.push(y.dim(-1));
        Ok(y.reshape(&shape)?)
    }

    fn experts(&self, x: &Array, experts: &Array, sorted: bool) -> Result<Array> {
        let gate = self.gate_proj.forward(x, experts, sorted)?;
        let up = self.up_proj.forward(x, experts, sorted)?;
        self.down_proj
            .forward(&swiglu(&gate, &up)?, experts, sorted)
    }
}

impl Params for SwitchGlu {
    fn layers(&mut self, prefix: &str, visit: &mut VisitLayer) -> Result<()> {
        visit(
            &join(prefix, "gate_proj"),
            Layer::Switch(&mut self.gate_proj),
        )?;
        visit(&join(prefix, "up_proj"), Layer::Switch(&mut self.up_proj))?;
        visit(
            &join(prefix, "down_proj"),
            Layer::Switch(&mut self.down_proj),
        )
    }
}
