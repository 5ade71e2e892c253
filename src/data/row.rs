//! One example.

use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::rc::Rc;

/// Named values; `prompt` and `answer` have a meaning, the others travel along to the rewards.
///
/// A copy is another handle on the same values: whatever is made from a dataset shares its rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub fields: Rc<Map<String, Value>>,
}

impl Row {
    /// A row of these values.
    pub fn new(fields: Map<String, Value>) -> Self {
        Self {
            fields: Rc::new(fields),
        }
    }

    /// The prompt of a row that is text.
    ///
    /// # Errors
    /// A row without a `prompt` of text.
    pub fn prompt(&self) -> Result<&str> {
        match self.fields.get("prompt") {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(Error::value("row.prompt", other, "a string")),
            None => Err(Error::value(
                "row",
                format!("one without `prompt` (it has {})", self.names()),
                "a `prompt` string in every row",
            )),
        }
    }

    /// The prompt of a row that is a conversation: `messages`, or a `prompt` that is a list.
    pub fn messages(&self) -> Option<&Value> {
        let prompt = self.fields.get("prompt").filter(|prompt| prompt.is_array());
        self.fields.get("messages").or(prompt)
    }

    /// The text to learn after the prompt: `completion`, or else `answer`.
    pub fn completion(&self) -> Result<String> {
        let found = self.fields.get("completion").or(self.fields.get("answer"));
        match found {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(other) => Err(Error::value("row.completion", other, "a string")),
            None => Err(Error::value(
                "row",
                format!(
                    "one without `completion` or `answer` (it has {})",
                    self.names()
                ),
                "one of them as a string",
            )),
        }
    }

    /// What the row says the answer is, if it does.
    pub fn answer(&self) -> Option<&Value> {
        self.fields.get("answer")
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.fields.keys().map(String::as_str).collect();
        names.join(", ")
    }
}
