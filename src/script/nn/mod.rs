//! `nn::`: activations, losses and layers, all functions of tensors.

mod activations;
mod init;
mod layers;
mod losses;
mod pooling;

use super::bind::Binder;
use rhai::Module;

/// The functions of the module.
pub fn bindings() -> Module {
    let mut b = Binder::new();
    activations::register(&mut b);
    losses::register(&mut b);
    layers::register(&mut b);
    pooling::register(&mut b);
    b.module.set_sub_module("init", init::bindings());
    b.module
}
