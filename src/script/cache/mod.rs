//! `cache::` and the `Cache` type: the past of one layer, or of a model's layers.

mod functions;
mod kinds;
mod members;

pub use kinds::{kind, new_cache};

use super::convert;
use crate::cache::{self, LayerCache};
use crate::error::{Error, Result};
use rhai::{Array as List, Dynamic, Engine};
use std::cell::{RefCell, RefMut};
use std::rc::Rc;

/// A cache as a script's value: every copy is the same cache.
#[derive(Clone)]
pub struct Cache {
    layers: Rc<RefCell<cache::Cache>>,
    /// One of the layers, or all of them.
    layer: Option<usize>,
}

impl Cache {
    /// The past of a model.
    pub fn of_model(layers: cache::Cache) -> Self {
        Self {
            layers: Rc::new(RefCell::new(layers)),
            layer: None,
        }
    }

    fn of_layer(layer: LayerCache) -> Self {
        Self {
            layers: Rc::new(RefCell::new(vec![layer])),
            layer: Some(0),
        }
    }

    /// The layers, to be changed.
    ///
    /// # Errors
    /// A model that writes holds them: a closure that it calls cannot.
    fn exclusive(&self) -> Result<RefMut<'_, cache::Cache>> {
        let in_use = |_| Error::Unsupported("this cache is in use by a model at work".into());
        self.layers.try_borrow_mut().map_err(in_use)
    }

    /// Does something with the layers that it stands for.
    fn each<T>(&self, f: impl FnMut(&mut LayerCache) -> Result<T>) -> Result<Vec<T>> {
        let mut layers = self.exclusive()?;
        match self.layer {
            Some(layer) => layers[layer..=layer].iter_mut().map(f).collect(),
            None => layers.iter_mut().map(f).collect(),
        }
    }

    /// What the first layer answers; all of a model's layers have the same number of tokens.
    fn first<T>(&self, f: impl Fn(&mut LayerCache) -> Result<T>) -> Result<T> {
        let answers = self.each(f)?;
        let none = || Error::value("cache", "no layers", "at least one");
        answers.into_iter().next().ok_or_else(none)
    }

    /// The one layer that keys and values go to.
    fn single<T>(&self, what: &str, f: impl FnMut(&mut LayerCache) -> Result<T>) -> Result<T> {
        match self.layer {
            Some(_) => self.each(f)?.pop(),
            None => None,
        }
        .ok_or_else(|| {
            Error::Unsupported(format!(
                "`{what}` is for the cache of one layer: `cache[0].{what}(..)`"
            ))
        })
    }

    /// Runs a model on the layers.
    ///
    /// # Errors
    /// A cache that is in use; what `f` says.
    pub fn with<T>(&self, f: impl FnOnce(&mut cache::Cache) -> Result<T>) -> Result<T> {
        let mut layers = self.exclusive()?;
        match self.layer {
            None => f(&mut layers),
            Some(layer) => with_moved(&mut layers, layer, f),
        }
    }
}

/// Runs `f` on one layer as if it were a model's only one.
fn with_moved<T>(
    layers: &mut cache::Cache,
    layer: usize,
    f: impl FnOnce(&mut cache::Cache) -> Result<T>,
) -> Result<T> {
    let mut moved = vec![std::mem::replace(&mut layers[layer], LayerCache::full(0))];
    let answer = f(&mut moved);
    if let Some(back) = moved.pop() {
        layers[layer] = back;
    }
    answer
}

/// Runs a model on a cache: a `Cache`, or a list with one for each layer.
///
/// # Errors
/// A value that is neither; a list that names one cache twice; what `f` says.
pub fn with_cache<T>(value: &Dynamic, f: impl FnOnce(&mut cache::Cache) -> Result<T>) -> Result<T> {
    if let Some(cache) = value.read_lock::<Cache>() {
        return cache.with(f);
    }
    let handles = handles(value)?;
    for (i, one) in handles.iter().enumerate() {
        let same =
            |other: &Cache| Rc::ptr_eq(&one.layers, &other.layers) && one.layer == other.layer;
        if handles[..i].iter().any(same) {
            let expected = "a cache of its own for each layer";
            return Err(Error::value("cache", "one cache twice", expected));
        }
    }
    let take = |one: &Cache| one.each(|layer| Ok(std::mem::replace(layer, LayerCache::full(0))));
    let taken = handles.iter().map(take).collect::<Result<Vec<_>>>()?;
    let mut layers = taken.into_iter().flatten().collect();
    let answer = f(&mut layers);
    let mut back = layers.into_iter();
    for one in &handles {
        one.each(|layer| {
            if let Some(own) = back.next() {
                *layer = own;
            }
            Ok(())
        })?;
    }
    answer
}

fn handles(value: &Dynamic) -> Result<Vec<Cache>> {
    let wrong = || Error::value("cache", convert::kind(value), "a cache, or a list of them");
    let list = value.read_lock::<List>().ok_or_else(wrong)?;
    let handle = |item: &Dynamic| item.clone().try_cast::<Cache>().ok_or_else(wrong);
    list.iter().map(handle).collect()
}

/// Registers the type and the module.
pub fn register(engine: &mut Engine, global: &mut rhai::Module) {
    engine.register_type_with_name::<Cache>("Cache");
    members::register(global);
    functions::register(engine);
    engine.register_fn("to_string", summary);
    engine.register_fn("to_debug", summary);
}

fn summary(cache: &mut Cache) -> String {
    let told = cache.first(|layer| {
        let (kind, size) = (layer.kind(), layer.size());
        let rows = layer.rows().map(|rows| format!(", {rows} rows"));
        Ok(format!(
            "{kind} cache of {size} tokens{}",
            rows.unwrap_or_default()
        ))
    });
    let layers = match cache.layer {
        Some(_) => String::new(),
        None => {
            let count = cache.layers.try_borrow().map_or(0, |layers| layers.len());
            format!(", {count} layers")
        }
    };
    format!("{}{layers}", told.unwrap_or_else(|_| "cache in use".into()))
}
