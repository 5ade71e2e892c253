//! Discrete Fourier transforms.

use super::Array;
use super::raw::op;
use crate::error::{Error, Result};
use mlx_sys::{mlx_array, mlx_fft_norm, mlx_stream};

/// Where the factor `1 / n` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    Backward,
    Ortho,
    Forward,
}

impl Scaling {
    /// The scaling of a name.
    ///
    /// # Errors
    /// An unknown name.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "backward" => Ok(Self::Backward),
            "ortho" => Ok(Self::Ortho),
            "forward" => Ok(Self::Forward),
            other => Err(Error::value("norm", other, "backward, ortho or forward")),
        }
    }

    fn code(self) -> mlx_fft_norm {
        match self {
            Self::Backward => mlx_sys::mlx_fft_norm__MLX_FFT_NORM_BACKWARD,
            Self::Ortho => mlx_sys::mlx_fft_norm__MLX_FFT_NORM_ORTHO,
            Self::Forward => mlx_sys::mlx_fft_norm__MLX_FFT_NORM_FORWARD,
        }
    }
}

/// One of the transforms over several axes.
#[derive(Clone, Copy, Debug)]
pub struct Transform(Many);

type Many = unsafe extern "C" fn(
    *mut mlx_array,
    mlx_array,
    *const i32,
    usize,
    *const i32,
    usize,
    mlx_fft_norm,
    mlx_stream,
) -> i32;

/// Complex to complex.
pub const FFTN: Transform = Transform(mlx_sys::mlx_fft_fftn);
/// Its inverse.
pub const IFFTN: Transform = Transform(mlx_sys::mlx_fft_ifftn);
/// Real to the non-redundant half of the complex.
pub const RFFTN: Transform = Transform(mlx_sys::mlx_fft_rfftn);
/// Its inverse.
pub const IRFFTN: Transform = Transform(mlx_sys::mlx_fft_irfftn);

/// Transforms axes, each cut or padded with zeros to a size.
pub fn transform(
    which: Transform,
    a: &Array,
    sizes: &[i32],
    axes: &[i32],
    scaling: Scaling,
) -> Result<Array> {
    op(|result, stream| unsafe {
        // SAFETY: the handles and slices live as long as the call, here and below.
        (which.0)(
            result,
            a.as_ptr(),
            sizes.as_ptr(),
            sizes.len(),
            axes.as_ptr(),
            axes.len(),
            scaling.code(),
            stream,
        )
    })
}

/// The zero frequency moved to the middle, or back.
pub fn shift(a: &Array, axes: &[i32], inverse: bool) -> Result<Array> {
    op(|result, stream| unsafe {
        let (a, list, count) = (a.as_ptr(), axes.as_ptr(), axes.len());
        match inverse {
            false => mlx_sys::mlx_fft_fftshift(result, a, list, count, stream),
            true => mlx_sys::mlx_fft_ifftshift(result, a, list, count, stream),
        }
    })
}

/// The frequencies of a transform of `n` samples at distance `d`; of the real one with `half`.
pub fn frequencies(n: i32, d: f64, half: bool) -> Result<Array> {
    op(|result, stream| unsafe {
        match half {
            false => mlx_sys::mlx_fft_fftfreq(result, n, d, stream),
            true => mlx_sys::mlx_fft_rfftfreq(result, n, d, stream),
        }
    })
}
