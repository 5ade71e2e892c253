//! Calls into mlx-c that mlx-rs does not offer, with their errors.
//!
//! mlx-c knows one error handler for the whole process. mlx-rs installs its own, and keeps the
//! message where only it can read it; ours stands before it, keeps a copy, and passes the
//! message on.

use super::Array;
use crate::error::{Error, Result};
use mlx_rs::Stream;
use mlx_sys::{mlx_array, mlx_stream, mlx_vector_array};
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

/// Runs a call that fills an array, on the default stream.
pub(super) fn op(call: impl FnOnce(*mut mlx_array, mlx_stream) -> i32) -> Result<Array> {
    op_on(&Stream::thread_local_or_default(), call)
}

/// The same on a given stream.
pub(super) fn op_on(
    stream: &Stream,
    call: impl FnOnce(*mut mlx_array, mlx_stream) -> i32,
) -> Result<Array> {
    let mut result = Null::empty();
    status(|| call(&mut result.0, stream.as_ptr()))?;
    Ok(result.into_array())
}

/// Runs a call that fills a list of arrays.
pub(super) fn arrays(
    call: impl FnOnce(*mut mlx_vector_array, mlx_stream) -> i32,
) -> Result<Vec<Array>> {
    arrays_on(&Stream::thread_local_or_default(), call)
}

/// The same on a given stream.
pub(super) fn arrays_on(
    stream: &Stream,
    call: impl FnOnce(*mut mlx_vector_array, mlx_stream) -> i32,
) -> Result<Vec<Array>> {
    let mut list = List::new(&[]);
    status(|| call(&mut list.0, stream.as_ptr()))?;
    list.to_arrays()
}

/// A handle to no array: a place for a result, or an argument that is left out.
pub(super) struct Null(pub mlx_array);

impl Null {
    pub(super) fn empty() -> Self {
        // SAFETY: a new handle is empty; it is freed, or owned by an `Array`, once.
        Self(unsafe { mlx_sys::mlx_array_new() })
    }

    pub(super) fn into_array(self) -> Array {
        let handle = self.0;
        std::mem::forget(self);
        // SAFETY: the `Array` owns the handle from here on.
        unsafe { Array::from_ptr(handle) }
    }
}

impl Drop for Null {
    fn drop(&mut self) {
        // SAFETY: nobody else owns this handle.
        unsafe { mlx_sys::mlx_array_free(self.0) };
    }
}

/// The arrays of a list that belongs to somebody else.
pub(super) fn borrowed(list: mlx_vector_array) -> Result<Vec<Array>> {
    let list = std::mem::ManuallyDrop::new(List(list));
    list.to_arrays()
}

/// A list of arrays of the C interface.
pub(super) struct List(pub mlx_vector_array);

impl List {
    pub(super) fn new(arrays: &[Array]) -> Self {
        // SAFETY: the list holds references of its own to what is appended.
        unsafe {
            let list = mlx_sys::mlx_vector_array_new();
            for array in arrays {
                mlx_sys::mlx_vector_array_append_value(list, array.as_ptr());
            }
            Self(list)
        }
    }

    pub(super) fn to_arrays(&self) -> Result<Vec<Array>> {
        // SAFETY: the index is below the length, and each element gets a handle of its own.
        let count = unsafe { mlx_sys::mlx_vector_array_size(self.0) };
        (0..count)
            .map(|i| {
                let mut element = Null::empty();
                status(|| unsafe { mlx_sys::mlx_vector_array_get(&mut element.0, self.0, i) })?;
                Ok(element.into_array())
            })
            .collect()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: nobody else owns this list.
        unsafe { mlx_sys::mlx_vector_array_free(self.0) };
    }
}
