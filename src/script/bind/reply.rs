//! What a function gives back.

use crate::error::Result;
use crate::mlx::{self, Array};
use crate::script::error::{Answer, At};
use crate::script::tensor::Tensor;
use rhai::{Array as List, Dynamic, INT, Map, NativeCallContext};

/// What a body gives back.
pub trait Reply {
    /// As a value of the script.
    fn reply(self) -> Result<Dynamic>;
}

impl Reply for Array {
    fn reply(self) -> Result<Dynamic> {
        Ok(Dynamic::from(Tensor::new(mlx::graph::admit(self)?)))
    }
}

impl Reply for Vec<Array> {
    fn reply(self) -> Result<Dynamic> {
        let list: Result<List> = self.into_iter().map(Reply::reply).collect();
        Ok(list?.into())
    }
}

impl Reply for (Array, Array) {
    fn reply(self) -> Result<Dynamic> {
        vec![self.0, self.1].reply()
    }
}

impl Reply for (Array, Array, Array) {
    fn reply(self) -> Result<Dynamic> {
        vec![self.0, self.1, self.2].reply()
    }
}

macro_rules! as_they_are {
    ($($t:ty),*) => {$(
        impl Reply for $t {
            fn reply(self) -> Result<Dynamic> {
                Ok(Dynamic::from(self))
            }
        }
    )*};
}
as_they_are!((), bool, INT, f64, String, List, Map);

impl Reply for Dynamic {
    fn reply(self) -> Result<Dynamic> {
        Ok(self)
    }
}

/// What a binding of another form answers, through the same gate as every tensor.
pub fn tensor(ctx: &NativeCallContext, make: impl FnOnce() -> Result<Array>) -> Answer<Tensor> {
    let made = || Ok(Tensor::new(mlx::graph::admit(make()?)?));
    made().at(ctx)
}
