//! `data::` and the `Dataset` type.

use super::convert::{self, from_json, to_json};
use super::error::{Answer, At, callback};
use super::settings::Settings;
use crate::data::{self, Column, CsvSettings, Dataset, Row};
use crate::error::{Error, Result};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, FnPtr, INT, Map, NativeCallContext};
use serde_json::Value;
use std::path::Path;

/// Registers the type and the module.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<Dataset>("Dataset");
    global.combine(exported_module!(members));
    let mut module = exported_module!(functions);
    super::curriculum::register(engine, global, &mut module);
    super::task::register(&mut module);
    engine.register_static_module("data", module.into());
    engine.register_fn("to_string", summary);
    engine.register_fn("to_debug", summary);
}

fn summary(d: &mut Dataset) -> String {
    let columns: Vec<String> = (d.types().into_iter())
        .map(|(name, kind)| match kind {
            "string" => name,
            kind => format!("{name} ({kind})"),
        })
        .collect();
    let mut text = format!("Dataset of {} rows: {}", d.rows().len(), columns.join(", "));
    for row in d.rows().iter().take(3) {
        text.push_str(&format!("\n  {}", Value::Object((*row.fields).clone())));
    }
    if d.rows().len() > 3 {
        text.push_str("\n  ...");
    }
    text
}

/// A row from a script's map.
pub fn row(value: &Dynamic) -> Result<Row> {
    match to_json(value)? {
        Value::Object(fields) => Ok(Row::new(fields)),
        _ => Err(Error::value(
            "row",
            convert::kind(value),
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
            convert::kind(value),
            "a list of maps or a dataset",
        ));
    };
    list.iter().map(row).collect()
}

/// A dataset of a list of maps.
pub fn dataset_of(list: List) -> Result<Dataset> {
    Ok(Dataset::new(rows(&list.into())?))
}

/// A setting that is a dataset or a list of rows.
pub fn dataset_setting(s: &mut Settings, name: &'static str) -> Result<Option<Dataset>> {
    match s.take(name) {
        None => Ok(None),
        Some(value) => match value.clone().try_cast::<Dataset>() {
            Some(dataset) => Ok(Some(dataset)),
            None => Ok(Some(Dataset::new(rows(&value)?))),
        },
    }
}

/// A row as a map.
pub fn map_of(row: &Row) -> Dynamic {
    from_json(&Value::Object((*row.fields).clone()))
}

/// A number of rows.
fn row_count(what: &'static str, n: INT) -> Result<usize> {
    usize::try_from(n).map_err(|_| Error::value(what, n, "at least 0 rows"))
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

    /// A file of comma-separated values with a header.
    #[rhai_fn(name = "csv", return_raw)]
    pub fn csv_plain(ctx: NativeCallContext, path: &str) -> Answer<Dataset> {
        csv(ctx, path, Map::new())
    }

    /// A file of comma-separated values with a header. A column in which every value is a whole
    /// number, a number, or `true` or `false`, holds these (an empty cell is then `()`); any other
    /// holds strings, and so do `prompt`, `answer`, `completion`, `text` and `system` whatever stands
    /// in them. `.types` says what was found. Settings: `types` (a map of column to `"integer"`,
    /// `"number"`, `"boolean"` or `"string"`), `delimiter` (`","`).
    ///
    /// ```rhai
    /// let d = data::csv("datasets/addition.csv");
    /// assert_eq(d.columns, ["prompt", "answer"]);
    /// assert_eq(d[0].answer, "146");
    /// let d = data::csv("datasets/addition.csv", #{ types: #{ answer: "integer" } });
    /// assert_eq(d[0].answer, 146);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn csv(ctx: NativeCallContext, path: &str, settings: Map) -> Answer<Dataset> {
        let settings = Settings::read(&ctx, "csv", settings, |s| {
            let mut csv = CsvSettings::default();
            if let Some(delimiter) = s.string("delimiter")? {
                let expected = "one character, such as \";\" or \"\\t\"";
                let [byte] = delimiter.as_bytes() else {
                    return Err(Error::setting("delimiter", delimiter, expected));
                };
                csv.delimiter = *byte;
            }
            let expected = "a map of column names to types";
            for (name, kind) in s.value::<Map>("types", expected)?.unwrap_or_default() {
                let column = Column::named(&kind.to_string())?;
                csv.types.push((name.to_string(), column));
            }
            Ok(csv)
        })?;
        data::csv(Path::new(path), &settings).at(&ctx)
    }

    /// A file with one JSON object a line; its values keep their types.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{
    ///     num_generations: 2, max_completion_length: 2, run_dir: "target/examples/jsonl",
    /// });
    /// trainer.step([#{ prompt: "1+2=" }], |outputs| outputs.map(|o| o.index));
    /// let d = data::jsonl("target/examples/jsonl/completions.jsonl");
    /// assert_eq(d[0].prompt, "1+2=");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn jsonl(ctx: NativeCallContext, path: &str) -> Answer<Dataset> {
        data::jsonl(Path::new(path)).at(&ctx)
    }
}

#[export_module]
mod members {
    /// The number of rows.
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// assert_eq(d.len(), 3);
    /// ```
    #[rhai_fn(global, pure)]
    pub fn len(d: &mut Dataset) -> INT {
        d.rows().len() as INT
    }

    /// Every name that some row has, as a list.
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=", answer: "3" }]);
    /// assert_eq(d.columns, ["prompt", "answer"]);
    /// ```
    #[rhai_fn(global, get = "columns", pure)]
    pub fn columns(d: &mut Dataset) -> List {
        d.columns().into_iter().map(Dynamic::from).collect()
    }

    /// What each column holds, as a map: `"string"`, `"integer"`, `"number"`, `"boolean"`, `"list"`,
    /// `"map"`, or `"mixed"`.
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=", level: 1 }, #{ prompt: "1+2=", level: 2.5 }]);
    /// assert_eq(d.types, #{ prompt: "string", level: "number" });
    /// ```
    #[rhai_fn(global, get = "types", pure)]
    pub fn types(d: &mut Dataset) -> Map {
        let types = d.types().into_iter();
        types
            .map(|(name, kind)| (name.into(), kind.into()))
            .collect()
    }

    /// A row, as a map; negative positions count from the end.
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=" }]);
    /// assert_eq(d[-1].prompt, "1+2=");
    /// ```
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

    /// A dataset of the rows in random order; the same seed gives the same order.
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// assert_eq(d.shuffle(1).to_array(), d.shuffle(1).to_array());
    /// assert_eq(d.shuffle(1).len(), 3);
    /// ```
    #[rhai_fn(global, pure)]
    pub fn shuffle(d: &mut Dataset, seed: INT) -> Dataset {
        d.shuffle(seed as u64)
    }

    /// A list of two datasets: the first holds that fraction of the rows, the second the others.
    ///
    /// ```rhai
    /// let d = data::csv("datasets/addition.csv");
    /// let parts = d.split(0.9);
    /// assert_eq([parts[0].len(), parts[1].len()], [180, 20]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn split(ctx: NativeCallContext, d: &mut Dataset, fraction: f64) -> Answer<List> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::value("split", fraction, "a fraction from 0 to 1")).at(&ctx);
        }
        let (first, rest) = d.split(fraction);
        Ok(vec![Dynamic::from(first), Dynamic::from(rest)])
    }

    /// A dataset of the first `n` rows, or of all where there are fewer.
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// assert_eq(d.take(2).len(), 2);
    /// ```
    #[rhai_fn(global, name = "take", pure, return_raw)]
    pub fn take_rows(ctx: NativeCallContext, d: &mut Dataset, n: INT) -> Answer<Dataset> {
        row_count("take", n).map(|n| d.take(n)).at(&ctx)
    }

    /// A dataset of all but the first `n` rows.
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// assert_eq(d.skip(2)[0].prompt, "1+3=");
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn skip(ctx: NativeCallContext, d: &mut Dataset, n: INT) -> Answer<Dataset> {
        row_count("skip", n).map(|n| d.skip(n)).at(&ctx)
    }

    /// A dataset of these rows, then those.
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// assert_eq(d.concat(d.take(1)).len(), 4);
    /// ```
    #[rhai_fn(global, pure)]
    pub fn concat(d: &mut Dataset, other: Dataset) -> Dataset {
        d.concat(&other)
    }

    /// A dataset of the maps that a closure makes of each row.
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// let asked = d.map(|row| #{ prompt: "What is " + row.prompt });
    /// assert_eq(asked[0].prompt, "What is 1+1=");
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn map(ctx: NativeCallContext, d: &mut Dataset, f: FnPtr) -> Answer<Dataset> {
        let each = d.rows().iter().map(|old| {
            let new = f.call_raw(&ctx, None, [map_of(old)]).map_err(callback)?;
            row(&new)
        });
        let rows: Result<Vec<Row>> = each.collect();
        rows.map(Dataset::new).at(&ctx)
    }

    /// A dataset of the rows for which a closure answers true.
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// assert_eq(d.filter(|row| row.prompt != "1+2=").len(), 2);
    /// ```
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
    ///
    /// ```rhai
    /// let d = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// assert_eq(d.to_array().map(|row| row.prompt), ["1+1=", "1+2=", "1+3="]);
    /// ```
    #[rhai_fn(global, name = "to_array", pure)]
    pub fn rows_as_list(d: &mut Dataset) -> List {
        d.rows().iter().map(map_of).collect()
    }
}
