//! Calls into mlx-c that mlx-rs does not offer, with their errors.
//!
//! mlx-c knows one error handler for the whole process. mlx-rs installs its own, and keeps the
//! message where only it can read it; ours stands before it, keeps a copy, and passes the
//! message on.

use super::Array;
use crate::error::{Error, Result};
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::sync::Once;

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

unsafe extern "C" {
    /// mlx-rs's handler, exported under this name by its `error` module.
    fn default_mlx_error_handler(message: *const c_char, data: *mut c_void);
}

extern "C" fn keep_and_pass_on(message: *const c_char, data: *mut c_void) {
    // SAFETY: mlx-c passes a C string that lives as long as this call.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    LAST.with(|last| *last.borrow_mut() = Some(text.into_owned()));
    // SAFETY: the same arguments, for the handler that they are meant for.
    unsafe { default_mlx_error_handler(message, data) };
}

/// Puts our handler in place, once.
fn prepare() {
    static READY: Once = Once::new();
    READY.call_once(|| {
        // mlx-rs installs its handler with its first fallible call; ours must come after it.
        drop(Array::from_int(0).as_dtype(mlx_rs::Dtype::Float32));
        // SAFETY: the handler is a plain function, and it has no data to free.
        unsafe {
            mlx_sys::mlx_set_error_handler(Some(keep_and_pass_on), std::ptr::null_mut(), None);
        }
    });
}

/// Runs a call that answers with a status.
pub(super) fn status(call: impl FnOnce() -> i32) -> Result<()> {
    prepare();
    if call() == 0 {
        return Ok(());
    }
    let message = LAST.with(|last| last.borrow_mut().take());
    let exception = mlx_rs::error::Exception::custom(
        message.unwrap_or_else(|| "MLX refused the operation".to_string()),
    );
    Err(Error::from(exception))
}

/// Runs a call that fills an array.
pub(super) fn array(call: impl FnOnce(*mut mlx_sys::mlx_array) -> i32) -> Result<Array> {
    // SAFETY: a new handle is empty, and the `Array` made from it owns it.
    let mut handle = unsafe { mlx_sys::mlx_array_new() };
    let outcome = status(|| call(&mut handle));
    let array = unsafe { Array::from_ptr(handle) };
    outcome.map(|()| array)
}
