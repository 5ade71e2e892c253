//! The `Tensor` type: a value that holds an MLX array.

use super::convert;
use super::error::{Answer, At};
use super::lists::{from_value, from_value_as, to_list, to_value};
use super::settings::float;
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use crate::tensor::index::Positions;
use crate::tensor::{display, dtype, scalar};
use mlx_rs::ops;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, INT, Map, NativeCallContext};
use std::cell::OnceCell;
use std::rc::Rc;

/// An array as a script's value; a copy is a handle until one of the two is changed.
#[derive(Clone, Debug)]
pub struct Tensor(
    /// Counted here, since a copy of MLX's handle costs two allocations and each use of a variable
    /// makes one.
    pub Rc<Array>,
    Ends,
);

/// The smallest and the largest of integers, once somebody had to know: looking computes them, and
/// a loop that uses the same indices again should not wait for that each time.
type Ends = Option<Rc<OnceCell<Option<(i64, i64)>>>>;

impl Tensor {
    /// A tensor that holds this array.
    pub fn new(array: Array) -> Self {
        let dtype = array.dtype();
        let is_index = !dtype.is_inexact() && dtype != Dtype::Bool;
        Self(Rc::new(array), is_index.then(Rc::default))
    }

    /// The same, of a tensor with the very elements in another form.
    pub fn has_elements_of(mut self, other: &Self) -> Self {
        self.1.clone_from(&other.1);
        self
    }

    /// A handle to the array for those who keep one.
    pub fn array(&self) -> Array {
        (*self.0).clone()
    }

    /// Its elements as positions.
    ///
    /// # Errors
    /// Elements that are not integers; MLX's.
    pub fn positions(&self) -> Result<Positions> {
        let array = self.array();
        let Some(cell) = &self.1 else {
            return Positions::new(array);
        };
        let ends = match cell.get() {
            Some(ends) => *ends,
            None => {
                let ends = Positions::ends(&array)?;
                *cell.get_or_init(|| ends)
            }
        };
        Ok(Positions::known(array, ends))
    }
}

/// Registers the type, its members, operators and indexing.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<Tensor>("Tensor");
    global.combine(exported_module!(members));
    engine.register_fn("to_string", |t: &mut Tensor| text(t));
    engine.register_fn("to_debug", |t: &mut Tensor| text(t));
    // Rhai's own writes of a tensor the name of its type.
    engine.register_fn("to_json", |ctx: NativeCallContext, map: Map| {
        let json = convert::to_json(&map.into());
        json.map(|json| json.to_string()).at(&ctx)
    });
}

fn text(t: &mut Tensor) -> String {
    display::show(&t.0)
        .unwrap_or_else(|error| format!("<a tensor that cannot be computed: {error}>"))
}

/// A number beside a tensor: it takes the tensor's dtype, except that a float beside integers
/// makes floats, as in MLX.
pub fn beside(value: &Dynamic, like: &Array) -> Result<Array> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return Ok(tensor.array());
    }
    if let Ok(whole) = value.as_int() {
        let plain = match i32::try_from(whole) {
            Ok(small) => Array::from_int(small),
            Err(_) => Array::from_slice(&[whole], &[]),
        };
        return Ok(match like.dtype() {
            Dtype::Bool => plain,
            dtype => plain.as_dtype(dtype)?,
        });
    }
    match (float(value), value.as_bool()) {
        (Some(number), _) => scalar(number, like),
        (None, Ok(bit)) => Ok(Array::from_bool(bit)),
        _ => Err(Error::value(
            "operand",
            convert::kind(value),
            "a tensor or a number",
        )),
    }
}

/// Whether two arrays have the same shape and values.
pub fn same(a: &Array, b: &Array) -> Result<bool> {
    if a.shape() != b.shape() {
        return Ok(false);
    }
    let equal = ops::array_eq(a, b, None)?;
    equal.eval()?;
    Ok(equal.item_exact::<bool>())
}

#[export_module]
mod members {
    /// A tensor from a number, a boolean, a list, or lists of lists.
    ///
    /// Integers give `int32`, floats `float32`, booleans `bool`. A ragged list is an error.
    ///
    /// # Example
    ///
    /// ```rhai
    /// let a = tensor([[1, 2], [3, 4]]);
    /// assert_eq(a.shape, [2, 2]);
    /// assert_eq(a.dtype, "int32");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn tensor(ctx: NativeCallContext, value: Dynamic) -> Answer<Tensor> {
        from_value(&value).map(Tensor::new).at(&ctx)
    }

    /// A tensor of an element type: `"float32"`, `"bfloat16"`, `"int32"` and so on.
    ///
    /// # Example
    ///
    /// ```rhai
    /// assert_eq(tensor([1, 2], "bfloat16").dtype, "bfloat16");
    /// ```
    #[rhai_fn(global, name = "tensor", return_raw)]
    pub fn tensor_of(ctx: NativeCallContext, value: Dynamic, dtype: &str) -> Answer<Tensor> {
        let make = || -> Result<Tensor> {
            let wanted = crate::tensor::dtype::parse(dtype)?;
            from_value_as(&value, wanted).map(Tensor::new)
        };
        make().at(&ctx)
    }

    /// The sizes of the axes, as a list.
    ///
    /// ```rhai
    /// let a = tensor([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq(a.shape, [2, 3]);
    /// ```
    #[rhai_fn(global, get = "shape", pure)]
    pub fn shape(a: &mut Tensor) -> List {
        a.0.shape().iter().map(|d| INT::from(*d).into()).collect()
    }

    /// The number of axes.
    ///
    /// ```rhai
    /// let a = tensor([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq(a.ndim, 2);
    /// ```
    #[rhai_fn(global, get = "ndim", pure)]
    pub fn ndim(a: &mut Tensor) -> INT {
        a.0.ndim() as INT
    }

    /// The number of elements.
    ///
    /// ```rhai
    /// let a = tensor([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq(a.size, 6);
    /// ```
    #[rhai_fn(global, get = "size", pure)]
    pub fn size(a: &mut Tensor) -> INT {
        a.0.size() as INT
    }

    /// The name of the element type, such as `"float32"`.
    ///
    /// ```rhai
    /// let a = tensor([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq(a.dtype, "int32");
    /// ```
    #[rhai_fn(global, get = "dtype", pure)]
    pub fn dtype_name(a: &mut Tensor) -> String {
        dtype::name(a.0.dtype()).into()
    }

    /// The number of bytes of the elements.
    ///
    /// ```rhai
    /// let a = tensor([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq(a.nbytes, 24);
    /// ```
    #[rhai_fn(global, get = "nbytes", pure)]
    pub fn nbytes(a: &mut Tensor) -> INT {
        a.0.nbytes() as INT
    }

    /// The tensor with its axes in reverse order.
    ///
    /// ```rhai
    /// let a = tensor([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq(a.T, [[1, 4], [2, 5], [3, 6]]);
    /// ```
    #[rhai_fn(global, get = "T", pure, return_raw)]
    pub fn transposed(ctx: NativeCallContext, a: &mut Tensor) -> Answer<Tensor> {
        a.0.transpose()
            .map(Tensor::new)
            .map_err(Error::from)
            .at(&ctx)
    }

    /// The one value of a tensor with one element, as a number or a boolean.
    ///
    /// ```rhai
    /// let a = tensor([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq(a.sum().item(), 21);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn item(ctx: NativeCallContext, a: &mut Tensor) -> Answer<Dynamic> {
        to_value(&a.0).at(&ctx)
    }

    /// The values as numbers or booleans in lists of lists; of a scalar, the value itself.
    ///
    /// ```rhai
    /// let a = tensor([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq(a.to_array()[1][0], 4);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn to_array(ctx: NativeCallContext, a: &mut Tensor) -> Answer<Dynamic> {
        to_list(&a.0).at(&ctx)
    }
}
