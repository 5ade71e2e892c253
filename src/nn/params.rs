//! One walk over every weight with its checkpoint name.
//!
//! Loading, saving, counting, differentiation, clipping and the optimiser's state all go by this
//! walk, so a weight that is in the model is in all of them. Arrays are handles: a clone of a
//! whole model costs its handles, and serves for reading.

use crate::error::Result;
use crate::mlx::Array;

/// What a walk does with one weight: its name as in the checkpoint, and its place.
pub type Visit<'a> = dyn FnMut(&str, &mut Array) -> Result<()> + 'a;

/// Something with named weights.
pub trait Params: Clone {
    /// Visits every weight below `prefix`, always in the same order.
    fn walk(&mut self, prefix: &str, visit: &mut Visit) -> Result<()>;

    /// Names and weights, in the order of the walk.
    fn named(&self) -> Vec<(String, Array)> {
        let mut list = Vec::new();
        self.clone()
            .walk("", &mut |name, weight| {
                list.push((name.to_string(), weight.clone()));
                Ok(())
            })
            .expect("this visitor has no errors");
        list
    }

    /// The weights in the order of the walk.
    fn arrays(&self) -> Vec<Array> {
        self.named().into_iter().map(|(_, weight)| weight).collect()
    }

    /// The same thing with other weights, given in the order of the walk.
    ///
    /// This is how a model is differentiated: traced arrays go in, the ordinary `forward` runs.
    fn with_arrays(&self, arrays: &[Array]) -> Self {
        let mut copy = self.clone();
        copy.set_arrays(arrays);
        copy
    }

    /// Replaces the weights by others, given in the order of the walk.
    fn set_arrays(&mut self, arrays: &[Array]) {
        let mut next = arrays.iter();
        self.walk("", &mut |_, weight| {
            if let Some(array) = next.next() {
                *weight = array.clone();
            }
            Ok(())
        })
        .expect("this visitor has no errors");
    }

    /// How many numbers the weights hold.
    fn num_parameters(&self) -> usize {
        self.arrays().iter().map(Array::size).sum()
    }
}

/// `prefix.name`, or `name` alone at the top.
pub fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_string()
    } else {
        format!("{prefix}.{name}")
    }
}
