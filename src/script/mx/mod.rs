//! `mx::`: array functions under MLX's names, and the methods of a tensor.

mod creation;
mod elementwise;
pub mod fast;
mod files;
mod fourier;
mod gathering;
mod linalg;
mod machine;
pub mod matrices;
mod pairwise;
mod quantized;
mod random;
mod reductions;
mod shapes;

use super::bind::Binder;

/// The functions, and those of them that are methods.
pub fn bindings() -> Binder {
    let mut b = Binder::new();
    elementwise::register(&mut b);
    pairwise::register(&mut b);
    reductions::register(&mut b);
    shapes::register(&mut b);
    creation::register(&mut b);
    gathering::register(&mut b);
    matrices::register(&mut b);
    quantized::register(&mut b);
    machine::register(&mut b);
    files::register(&mut b);
    super::differentiate::register(&mut b);
    for (name, part) in [
        ("linalg", linalg::bindings()),
        ("fft", fourier::bindings()),
        ("fast", fast::bindings()),
        ("random", random::bindings()),
    ] {
        b.module.set_sub_module(name, part.module);
    }
    b
}
