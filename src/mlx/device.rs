//! Which processor computes.

use crate::error::{Error, Result};
use mlx_rs::{Device, DeviceType, Stream};
use std::cell::RefCell;

/// A processor that MLX can compute on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Cpu,
    Gpu,
}

impl Kind {
    /// The name in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        }
    }
}

/// The device in use; MLX chooses the GPU where it has one.
pub fn current() -> Kind {
    match Device::try_default().and_then(|device| device.get_type()) {
        Ok(DeviceType::Gpu) => Kind::Gpu,
        _ => Kind::Cpu,
    }
}

/// Sets what MLX reads from the environment, where nobody has set it. To be called before anything is
/// computed, while there is one thread.
pub fn prepare() {
    // A run has many different graphs (each length of each batch), and MLX refuses to go on once more
    // of them than this do not fit; its own number is 400.
    const GRAPHS: (&str, &str) = ("MLX_CUDA_GRAPH_CACHE_SIZE", "8000");
    if std::env::var_os(GRAPHS.0).is_none() {
        // SAFETY: no other thread reads the environment yet, as the caller promises.
        unsafe { std::env::set_var(GRAPHS.0, GRAPHS.1) };
    }
}

/// Whether this MLX can compute on a GPU of this machine.
pub fn gpu_available() -> bool {
    let mut available = false;
    let _ = super::raw::status(|| {
        // SAFETY: the device handle is not freed before the call returns.
        unsafe {
            let device = mlx_sys::mlx_device_new_type(mlx_sys::mlx_device_type__MLX_GPU, 0);
            let status = mlx_sys::mlx_device_is_available(&mut available, device);
            mlx_sys::mlx_device_free(device);
            status
        }
    });
    available
}

/// Chooses the device by its name, `cpu` or `gpu`.
///
/// # Errors
/// An unknown name, or a GPU where there is none.
pub fn select(name: &str) -> Result<()> {
    let device = match name {
        "cpu" => Device::cpu(),
        "gpu" if gpu_available() => Device::gpu(),
        "gpu" => {
            return Err(Error::Unsupported(
                "this MLX has no GPU here; on Linux with an NVIDIA card run \
                 `cargo xtask setup --backend cuda13`, or use --device cpu"
                    .into(),
            ));
        }
        other => return Err(Error::value("device", other, "cpu or gpu")),
    };
    Device::set_default(&device);
    Ok(())
}

thread_local! {
    static LANES: RefCell<Vec<Stream>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` so that what it makes is computed in queue number `i` of a few: MLX computes the
/// operations of one queue one after another, on one core of a CPU, and those of several at once.
pub fn in_lane<T>(i: usize, f: impl FnOnce() -> T) -> T {
    let most = lanes();
    let lane = LANES.with_borrow_mut(|lanes| {
        while lanes.len() < most {
            lanes.push(Stream::new());
        }
        lanes[i % most].clone()
    });
    mlx_rs::with_stream(&lane, f)
}

/// How many queues are of use: one for each of a few cores, and one for a GPU.
pub fn lanes() -> usize {
    match current() {
        Kind::Gpu => 1,
        Kind::Cpu => std::thread::available_parallelism().map_or(1, |n| n.get().min(4)),
    }
}

/// The release of the MLX library in use.
pub fn mlx_version() -> String {
    let mut text = String::from("unknown");
    // SAFETY: the string is freed after it is copied.
    unsafe {
        let mut version = mlx_sys::mlx_string_new();
        if mlx_sys::mlx_version(&mut version) == 0 {
            let bytes = std::ffi::CStr::from_ptr(mlx_sys::mlx_string_data(version));
            text = bytes.to_string_lossy().into_owned();
        }
        mlx_sys::mlx_string_free(version);
    }
    text
}
