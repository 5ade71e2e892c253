//! The gated feed-forward layer (<https://arxiv.org/abs/2002.05202>).

use super::activations::swiglu;
use super::joined::Joined;
use super::linear::Linear;
use super::params::{Layer, Params, VisitLayer, join};
use crate::error::Result;
use crate::mlx::{Array, host};

/// `y = down(silu(gate(x)) * up(x))`.
#[derive(Clone, Debug)]
pub struct SwiGlu {
    pub gate_proj: Linear,
    pub up_proj: Linear,
    pub down_proj: Linear,
    /// Gate and up as one product, where there is such a copy of their weights.
    pub joined: Option<Joined>,
}

impl SwiGlu {
    /// Joins what can be joined; to decode with.
    pub fn join(&mut self) -> Result<()> {
        self.joined = Joined::of(&[&self.gate_proj, &self.up_proj])?;
        Ok(())
    }

    /// # Shapes
    /// - x: `[.., E]`
    /// - returns: `[.., E]`
    pub fn forward(&self, x: &Array) -> Result<Array> {
        let joined = self.joined.as_ref().map(|joined| joined.forward(x));
        let (gate, up) = match joined.transpose()?.as_deref() {
            Some([gate, up]) => (gate.clone(), up.clone()),
            _ => (self.gate_proj.forward(x)?, self.up_proj.forward(x)?),
        };
        let inner = match host::swiglu(&gate, &up)? {
            Some(inner) => inner,
            None => swiglu(&gate, &up)?,
        };
        self.down_proj.forward(&inner)
    }
}

impl Params for SwiGlu {
    fn layers(&mut self, prefix: &str, visit: &mut VisitLayer) -> Result<()> {
        // The visitor may change the weights.
        self.joined = None;
        visit(
            &join(prefix, "gate_proj"),
            Layer::Linear(&mut self.gate_proj),
        )?;
        visit(&join(prefix, "up_proj"), Layer::Linear(&mut self.up_proj))?;
        visit(
            &join(prefix, "down_proj"),
            Layer::Linear(&mut self.down_proj),
        )
    }
}
