//! Whether an output is JSON of a form.

use super::answer::said;
use crate::error::{Error, Result};
use crate::rl::{RewardOutput, Score};
use serde_json::Value;

/// A JSON schema, compiled once.
#[derive(Debug)]
pub struct Schema(jsonschema::Validator);

impl Schema {
    /// # Errors
    /// A schema that is none; the error says why.
    pub fn new(schema: &Value) -> Result<Self> {
        jsonschema::validator_for(schema)
            .map(Self)
            .map_err(|error| {
                let expected = format!("a JSON schema ({error})");
                Error::setting("schema", schema, &expected)
            })
    }

    /// Whether a value has the form.
    pub fn allows(&self, value: &Value) -> bool {
        self.0.is_valid(value)
    }
}

/// 1 for JSON of the schema, `parsed` for other JSON, 0 for none. It is looked for in the element of
/// a name, or else in the text: a code block in it, if there is one, or all of it.
pub fn json_schema(
    output: &RewardOutput,
    schema: &Schema,
    tag: Option<&str>,
    parsed: f64,
) -> Score {
    let value =
        said(output, tag).and_then(|text| serde_json::from_str::<Value>(block(&text).trim()).ok());
    Score::Value(match value {
        None => 0.0,
        Some(value) if schema.allows(&value) => 1.0,
        Some(_) => parsed,
    })
}

/// What stands in the last code block of a text, or the text.
fn block(text: &str) -> &str {
    let inside = || {
        let (head, _) = text.rsplit_once("```")?;
        let (_, block) = head.rsplit_once("```")?;
        let is_name = |c: char| c.is_ascii_alphabetic();
        Some(block.trim_start_matches(is_name))
    };
    inside().unwrap_or(text)
}
