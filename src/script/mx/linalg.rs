//! `mx::linalg`: linear algebra, computed on the CPU.

use crate::error::Result;
use crate::mlx::linalg::{self, Norm};
use crate::script::bind::{Binder, Call};

/// The functions of the module.
pub fn bindings() -> Binder {
    let mut b = Binder::new();
    norms(&mut b);
    factors(&mut b);
    eigenvalues(&mut b);
    inverses(&mut b);
    b
}

fn norms(b: &mut Binder) {
    b.function(
        "norm(a: Tensor, ord: number or string = (), axis: integer or list = (), keepdims: bool = false) -> Tensor",
        "A norm of vectors (one axis) or matrices (two): the Euclidean one, order `ord`, `\"fro\"` or `\"nuc\"`.",
        "assert_eq(mx::linalg::norm(tensor([3.0, 4.0])), 5);
         assert_eq(mx::linalg::norm(tensor([3.0, 4.0]), 1), 7);",
        |c| {
            let norm = match c.has(1) {
                false => Norm::L2,
                true if c.get(1).is_string() => Norm::Named(c.choice(1, &["fro", "f", "nuc"])?),
                true => Norm::Order(c.float(1)?),
            };
            let axes = c.axes(2)?;
            linalg::norm(&c.tensor(0)?, &norm, axes.as_deref(), c.flag(3)?)
        },
    );
    b.function(
        "cross(a: Tensor, b: Tensor, axis: integer = -1) -> Tensor",
        "The vector product along an axis of size 2 or 3.",
        "assert_eq(mx::linalg::cross(tensor([1, 0, 0]), tensor([0, 1, 0])), [0, 0, 1]);",
        |c| linalg::cross(&c.tensor(0)?, &c.tensor(1)?, c.int(2)?),
    );
    b.function(
        "det(a: Tensor) -> Tensor",
        "The determinant of square matrices.",
        "assert_close(mx::linalg::det(tensor([[1.0, 2.0], [3.0, 4.0]])), -2, 1e-5);",
        |c| linalg::det(&c.tensor(0)?),
    );
    b.function(
        "slogdet(a: Tensor) -> [Tensor, Tensor]",
        "Sign and logarithm of the absolute value of the determinant.",
        "assert_eq(mx::linalg::slogdet(tensor([[1.0, 2.0], [3.0, 4.0]]))[0], -1);",
        |c| linalg::slogdet(&c.tensor(0)?),
    );
}

fn factors(b: &mut Binder) {
    b.function(
        "qr(a: Tensor) -> [Tensor, Tensor]",
        "Orthogonal and upper triangular factors `[Q, R]`.",
        "let f = mx::linalg::qr(tensor([[2.0, 3.0], [1.0, 2.0]]));
         assert_close(f[0].matmul(f[1]), [[2, 3], [1, 2]], 1e-5);",
        |c| linalg::qr(&c.tensor(0)?),
    );
    b.function(
        "svd(a: Tensor, compute_uv: bool = true) -> list",
        "The singular value decomposition `[U, S, Vt]`, or the singular values `S` alone.",
        "assert_close(mx::linalg::svd(tensor([[3.0, 0.0], [0.0, 2.0]]))[1], [3, 2], 1e-5);",
        svd,
    );
    b.function(
        "cholesky(a: Tensor, upper: bool = false) -> Tensor",
        "The lower (or upper) triangular `L` with `L L^T = a`, of positive definite matrices.",
        "assert_eq(mx::linalg::cholesky(tensor([[4.0]])), [[2]]);",
        |c| linalg::cholesky(&c.tensor(0)?, c.flag(1)?),
    );
    b.function(
        "lu(a: Tensor) -> [Tensor, Tensor, Tensor]",
        "Row order, lower and upper factor: `L[P] U = a`.",
        "let f = mx::linalg::lu(tensor([[2.0, 3.0], [1.0, 2.0]]));
         assert_close(mx::take(f[1], f[0], 0).matmul(f[2]), [[2, 3], [1, 2]], 1e-5);",
        |c| linalg::lu(&c.tensor(0)?),
    );
    b.function(
        "lu_factor(a: Tensor) -> [Tensor, Tensor]",
        "Both factors in one matrix, and the pivots.",
        "assert_eq(mx::linalg::lu_factor(tensor([[2.0, 3.0], [1.0, 2.0]]))[0].shape, [2, 2]);",
        |c| linalg::lu_factor(&c.tensor(0)?),
    );
}

fn svd(c: &Call) -> Result<rhai::Dynamic> {
    use crate::script::bind::Reply;
    let mut parts = linalg::svd(&c.tensor(0)?, c.flag(1)?)?;
    match (c.flag(1)?, parts.pop()) {
        (false, Some(values)) => values.reply(),
        (_, last) => {
            parts.extend(last);
            parts.reply()
        }
    }
}

fn eigenvalues(b: &mut Binder) {
    b.function(
        "eigh(a: Tensor, UPLO: string = \"L\") -> [Tensor, Tensor]",
        "Eigenvalues in rising order, and eigenvectors, of symmetric matrices.",
        "assert_close(mx::linalg::eigh(tensor([[2.0, 0.0], [0.0, 1.0]]))[0], [1, 2], 1e-5);",
        |c| linalg::eigh(&c.tensor(0)?, &c.choice(1, &["L", "U"])?),
    );
    b.function(
        "eigvalsh(a: Tensor, UPLO: string = \"L\") -> Tensor",
        "Eigenvalues of symmetric matrices in rising order.",
        "assert_close(mx::linalg::eigvalsh(tensor([[2.0, 0.0], [0.0, 1.0]])), [1, 2], 1e-5);",
        |c| linalg::eigvalsh(&c.tensor(0)?, &c.choice(1, &["L", "U"])?),
    );
    b.function(
        "eig(a: Tensor) -> [Tensor, Tensor]",
        "Eigenvalues and eigenvectors, complex, of square matrices.",
        "assert_eq(mx::linalg::eig(tensor([[2.0, 0.0], [0.0, 1.0]]))[0].dtype, \"complex64\");",
        |c| linalg::eig(&c.tensor(0)?),
    );
    b.function(
        "eigvals(a: Tensor) -> Tensor",
        "Eigenvalues, complex, of square matrices.",
        "assert_close(mx::linalg::eigvals(tensor([[2.0, 0.0], [0.0, 1.0]])).real().sort(), [1, 2], 1e-5);",
        |c| linalg::eigvals(&c.tensor(0)?),
    );
}

fn inverses(b: &mut Binder) {
    b.function(
        "inv(a: Tensor) -> Tensor",
        "The inverse of square matrices.",
        "assert_close(mx::linalg::inv(tensor([[2.0, 0.0], [0.0, 4.0]])), [[0.5, 0], [0, 0.25]], 1e-6);",
        |c| linalg::inv(&c.tensor(0)?),
    );
    b.function(
        "tri_inv(a: Tensor, upper: bool = false) -> Tensor",
        "The inverse of triangular matrices.",
        "assert_close(mx::linalg::tri_inv(tensor([[2.0, 0.0], [0.0, 4.0]])), [[0.5, 0], [0, 0.25]], 1e-6);",
        |c| linalg::tri_inv(&c.tensor(0)?, c.flag(1)?),
    );
    b.function(
        "cholesky_inv(a: Tensor, upper: bool = false) -> Tensor",
        "The inverse of the matrix whose Cholesky factor is `a`.",
        "assert_close(mx::linalg::cholesky_inv(tensor([[2.0]])), [[0.25]], 1e-6);",
        |c| linalg::cholesky_inv(&c.tensor(0)?, c.flag(1)?),
    );
    b.function(
        "pinv(a: Tensor) -> Tensor",
        "The Moore-Penrose inverse.",
        "assert_close(mx::linalg::pinv(tensor([[2.0], [0.0]])), [[0.5, 0]], 1e-5);",
        |c| linalg::pinv(&c.tensor(0)?),
    );
    b.function(
        "solve(a: Tensor, b: Tensor) -> Tensor",
        "`x` of `a x = b`.",
        "assert_close(mx::linalg::solve(tensor([[2.0, 0.0], [0.0, 4.0]]), tensor([2.0, 4.0])), [1, 1], 1e-5);",
        |c| linalg::solve(&c.tensor(0)?, &c.tensor(1)?),
    );
    b.function(
        "solve_triangular(a: Tensor, b: Tensor, upper: bool = false) -> Tensor",
        "`x` of `a x = b` for a triangular `a`.",
        "assert_close(mx::linalg::solve_triangular(tensor([[2.0, 0.0], [1.0, 4.0]]), tensor([2.0, 5.0])), [1, 1], 1e-5);",
        |c| linalg::solve_triangular(&c.tensor(0)?, &c.tensor(1)?, c.flag(2)?),
    );
}
