//! The second half of a block: one feed-forward layer, or a mixture of them.

use crate::error::Result;
use crate::mlx::Array;
use crate::nn::params::{Layer, Params, VisitLayer, join};
use crate::nn::{Router, SwiGlu, SwitchGlu};

/// What stands at `mlp` in a checkpoint.
#[derive(Clone, Debug)]
pub enum FeedForward {
    Dense(SwiGlu),
    Sparse(Sparse),
}

/// A mixture of experts: each token goes to a few of them.
#[derive(Clone, Debug)]
pub struct Sparse {
    pub router: Router,
    pub switch_mlp: SwitchGlu,
}

impl FeedForward {
    /// Where the choice of experts is wanted, `routed` gets its logits `[B, L, experts]`.
    ///
    /// # Shapes
    /// - x: `[B, L, E]`
    /// - returns: `[B, L, E]`
    pub fn forward(&self, x: &Array, routed: Option<&mut Vec<Array>>) -> Result<Array> {
        match self {
            Self::Dense(mlp) => mlp.forward(x),
            Self::Sparse(sparse) => sparse.forward(x, routed),
        }
    }
}

impl Sparse {
    fn forward(&self, x: &Array, routed: Option<&mut Vec<Array>>) -> Result<Array> {
        let (experts, shares, logits) = self.router.forward(x)?;
        if let Some(routed) = routed {
            routed.push(logits);
        }
        let answers = self.switch_mlp.forward(x, &experts)?;
        let shares = shares.expand_dims(-1)?.as_dtype(answers.dtype())?;
        Ok(answers.multiply(shares)?.sum_axis(-2, false)?)
    }
}

impl Params for FeedForward {
    fn layers(&mut self, prefix: &str, visit: &mut VisitLayer) -> Result<()> {
        match self {
            Self::Dense(mlp) => mlp.layers(prefix, visit),
            Self::Sparse(sparse) => {
                let gate = Layer::Linear(&mut sparse.router.gate);
                visit(&join(prefix, "gate"), gate)?;
                sparse.switch_mlp.layers(&join(prefix, "switch_mlp"), visit)
            }
        }
    }
}
