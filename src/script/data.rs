//! `data::` and the `Dataset` type.

use super::convert::{from_json, to_json};
use super::error::{Answer, At, callback};
use crate::data::{self, Dataset, Row};
use crate::error::{Error, Result};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, FnPtr, INT, NativeCallContext};
use serde_json::Value;
use std::path::Path;

/// Registers the type and the module.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Dataset>("Dataset");
    engine.register_global_module(exported_module!(members).into());
    engine.register_static_module("data", exported_module!(functions).into());
    engine.register_fn("to_string", summary);
    engine.register_fn("to_debug", summary);
}

fn summary(d: &mut Dataset) -> String {
    let columns = d.columns().join(", ");
    let mut text = format!("Dataset of {} rows: {columns}", d.rows().len());
    for row in d.rows().iter().take(3) {
        text.push_str(&format!("\n  {}", Value::Object(row.fields.clone())));
    }
    if d.rows().len() > 3 {
        text.push_str("\n  ...");
    }
    text
}

/// A row from a script's map.
pub fn row(value: &Dynamic) -> Result<Row> {
    match to_json(value)? {
        Value::Object(fields) => Ok(Row { fields }),
        _ => Err(Error::value(
            "row",
            value.type_name(),
            "a map, #{ prompt: .. }",
        )),
    }
}

/// Rows from a list of maps, or the rows of a dataset.
pub fn rows(value: &Dynamic) -> Result<Vec<Row>> {
    if let Some(dataset) = value.read_lock::<Dataset>() {
        return Ok(dataset.rows().to_vec());
    }
    let Some(list) = value.read_lock::<List>() else {
        return Err(Error::value(
            "rows",
            value.type_name(),
            "a list of maps or a dataset",
        ));
    };
    list.iter().map(row).collect()
}

fn map_of(row: &Row) -> Dynamic {
    from_json(&Value::Object(row.fields.clone()))
}

#[export_module]
mod functions {
    /// A dataset of a list of maps.
    ///
    /// # Example
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=", answer: "2" }]);
    /// assert_eq(d.len(), 1);
    /// ```
    #[rhai_fn(name = "rows", return_raw)]
    pub fn from_list(ctx: NativeCallContext, list: Dynamic) -> Answer<Dataset> {
        super::rows(&list).map(Dataset::new).at(&ctx)
    }

    /// A file of comma-separated values with a header; every value is a string.
    #[rhai_fn(return_raw)]
    pub fn csv(ctx: NativeCallContext, path: &str) -> Answer<Dataset> {
        data::csv(Path::new(path)).at(&ctx)
    }

    /// A file with one JSON object a line.
    #[rhai_fn(return_raw)]
    pub fn jsonl(ctx: NativeCallContext, path: &str) -> Answer<Dataset> {
        data::jsonl(Path::new(path)).at(&ctx)
    }
}

#[export_module]
mod members {
    /// The number of rows.
    #[rhai_fn(global, pure)]
    pub fn len(d: &mut Dataset) -> INT {
        d.rows().len() as INT
    }

    /// Every name that some row has.
    #[rhai_fn(global, get = "columns", pure)]
    pub fn columns(d: &mut Dataset) -> List {
        d.columns().into_iter().map(Dynamic::from).collect()
    }

    /// A row, as a map; negative positions count from the end.
    #[rhai_fn(index_get, pure, return_raw)]
    pub fn at(ctx: NativeCallContext, d: &mut Dataset, i: INT) -> Answer<Dynamic> {
        let count = d.rows().len() as INT;
        let place = if i < 0 { i + count } else { i };
        let found = usize::try_from(place).ok().and_then(|p| d.rows().get(p));
        found
            .map(map_of)
            .ok_or_else(|| Error::value("row", i, &format!("a position in {count} rows")))
            .at(&ctx)
    }

    /// The rows in random order; the same seed gives the same order.
    #[rhai_fn(global, pure)]
    pub fn shuffle(d: &mut Dataset, seed: INT) -> Dataset {
        d.shuffle(seed as u64)
    }

    /// Two datasets, cut at a fraction of the rows.
    #[rhai_fn(global, pure, return_raw)]
    pub fn split(ctx: NativeCallContext, d: &mut Dataset, fraction: f64) -> Answer<List> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::value("split", fraction, "a fraction from 0 to 1")).at(&ctx);
        }
        let (first, rest) = d.split(fraction);
        Ok(vec![Dynamic::from(first), Dynamic::from(rest)])
    }

    /// The first `n` rows.
    #[rhai_fn(global, name = "take", pure)]
    pub fn take_rows(d: &mut Dataset, n: INT) -> Dataset {
        d.take(n.max(0) as usize)
    }

    /// All but the first `n` rows.
    #[rhai_fn(global, pure)]
    pub fn skip(d: &mut Dataset, n: INT) -> Dataset {
        d.skip(n.max(0) as usize)
    }

    /// These rows, then those.
    #[rhai_fn(global, pure)]
    pub fn concat(d: &mut Dataset, other: Dataset) -> Dataset {
        d.concat(&other)
    }

    /// A dataset of what a closure makes of each row.
    #[rhai_fn(global, pure, return_raw)]
    pub fn map(ctx: NativeCallContext, d: &mut Dataset, f: FnPtr) -> Answer<Dataset> {
        let each = d.rows().iter().map(|old| {
            let new = f.call_raw(&ctx, None, [map_of(old)]).map_err(callback)?;
            row(&new)
        });
        let rows: Result<Vec<Row>> = each.collect();
        rows.map(Dataset::new).at(&ctx)
    }

    /// The rows for which a closure answers true.
    #[rhai_fn(global, pure, return_raw)]
    pub fn filter(ctx: NativeCallContext, d: &mut Dataset, f: FnPtr) -> Answer<Dataset> {
        let mut kept = Vec::new();
        for old in d.rows() {
            let answer: Dynamic = f.call_raw(&ctx, None, [map_of(old)])?;
            match answer.as_bool() {
                Ok(true) => kept.push(old.clone()),
                Ok(false) => {}
                Err(found) => {
                    return Err(Error::value("filter", found, "true or false")).at(&ctx);
                }
            }
        }
        Ok(Dataset::new(kept))
    }

    /// The rows as a list of maps.
    #[rhai_fn(global, name = "to_array", pure)]
    pub fn rows_as_list(d: &mut Dataset) -> List {
        d.rows().iter().map(map_of).collect()
    }
}
