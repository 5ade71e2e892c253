//! One enum for everything a user can cause.
//!
//! A variant carries what its reader needs to mend the matter: the value, the place, the remedy.
//! Positions in scripts are attached in `script/error.rs`, nowhere else.

use std::path::{Path, PathBuf};

/// The result of every fallible function of the native rooms.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong because of a script, a file, a setting or the machine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // ----- arrays
    /// MLX refused an operation; its own words, which name the operation and the shapes.
    #[error("{0}")]
    Mlx(String),
    /// An array of the wrong shape was given.
    #[error("{what}: expected shape {expected}, found {found:?}")]
    Shape {
        what: &'static str,
        expected: String,
        found: Vec<i32>,
    },
    /// A value that is not acceptable, with what would be.
    #[error("{what}: found {found}; expected {expected}")]
    Value {
        what: String,
        found: String,
        expected: String,
    },
    /// A token id that the model has no embedding for.
    #[error("token id {id} is outside the vocabulary of {vocab_size} tokens")]
    TokenId { id: i64, vocab_size: i32 },

    // ----- settings
    /// A setting nobody knows.
    #[error("{of}: unknown setting `{name}`{}; the settings are: {}", near(.nearest), .valid.join(", "))]
    UnknownSetting {
        of: &'static str,
        name: String,
        nearest: Option<String>,
        valid: Vec<&'static str>,
    },
    /// A setting with an unusable value.
    #[error("setting `{name}`: found {found}; expected {expected}")]
    Setting {
        name: String,
        found: String,
        expected: String,
    },

    // ----- files
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A file that is not what it should be.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// A line of a data file that cannot be used.
    #[error("{}, line {line}: {reason}", path.display())]
    DataLine {
        path: PathBuf,
        line: u64,
        reason: String,
    },
    /// A checkpoint lacks a tensor.
    #[error("weight `{name}` is missing from {}; the configuration asks for it", path.display())]
    MissingWeight { name: String, path: PathBuf },
    /// A tensor whose shape does not fit the configuration.
    #[error(
        "weight `{name}`: shape {found:?} in {}, {expected:?} by the configuration",
        path.display()
    )]
    WeightShape {
        name: String,
        path: PathBuf,
        expected: Vec<i32>,
        found: Vec<i32>,
    },

    // ----- the hub
    /// A model of the hub that cannot be had: why, and what would help.
    #[error("{id}: {reason}; {remedy}")]
    Hub {
        id: String,
        reason: String,
        remedy: String,
    },

    // ----- text
    /// A model without a tokenizer was asked for text.
    #[error(
        "this model has no tokenizer; give it one (`lm::qwen3(config, #{{ tokenizer: t }})`, or a tokenizer.json in the folder that is loaded) or pass token ids"
    )]
    NoTokenizer,
    /// A tokenizer failed.
    #[error("tokenizer: {0}")]
    Tokenizer(String),

    /// A pattern of code that cannot be searched for.
    #[error(
        "pattern `{pattern}` ({language}): {reason}. A pattern is one piece of code, with $NAME for a node and $$$NAME for several"
    )]
    Pattern {
        pattern: String,
        language: &'static str,
        reason: String,
    },

    // ----- training
    /// A row of a dataset that cannot be used.
    #[error("row {row}: {reason}")]
    Row { row: usize, reason: String },
    /// A reward answered something unusable.
    #[error("reward `{name}`: {reason}")]
    Reward { name: String, reason: String },
    /// A loss or gradient that is not a number, several steps in a row.
    #[error(
        "{what} is not finite for {times} steps in a row; the run stopped at step {step}. Lower the learning rate or look at the rewards"
    )]
    NonFinite {
        what: &'static str,
        times: u32,
        step: u64,
    },
    /// The user pressed Ctrl-C, or a front end asked to stop.
    #[error("interrupted")]
    Interrupted,

    // ----- the rest
    /// Something that mlx-repl does not do.
    #[error("{0}")]
    Unsupported(String),
    /// An error of a callback (a script's function), carried through the native rooms whole.
    #[error("{0}")]
    Callback(Box<dyn std::error::Error>),
}

fn near(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|name| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default()
}

impl Error {
    /// An operating-system error with the path that it is about.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { path, source }
    }

    /// A file that is not what it should be.
    pub fn file(path: impl AsRef<Path>, reason: impl ToString) -> Self {
        Self::File {
            path: path.as_ref().to_path_buf(),
            reason: reason.to_string(),
        }
    }

    /// A row of a dataset that cannot be used, counted from 0.
    pub fn row(row: usize, reason: impl ToString) -> Self {
        Self::Row {
            row,
            reason: reason.to_string(),
        }
    }

    /// A model of the hub that cannot be had.
    pub fn hub(id: &str, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Hub {
            id: id.to_string(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// A setting with an unusable value.
    pub fn setting(name: impl Into<String>, found: impl ToString, expected: &str) -> Self {
        Self::Setting {
            name: name.into(),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }

    /// An argument with an unusable value.
    pub fn value(what: impl Into<String>, found: impl ToString, expected: &str) -> Self {
        Self::Value {
            what: what.into(),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }

    /// An array of the wrong shape.
    pub fn shape(what: &'static str, expected: impl ToString, found: &[i32]) -> Self {
        Self::Shape {
            what,
            expected: expected.to_string(),
            found: found.to_vec(),
        }
    }
}

impl From<mlx_rs::error::Exception> for Error {
    fn from(e: mlx_rs::error::Exception) -> Self {
        // mlx-c appends its own source file to the message, which tells a user nothing.
        let text = e.what();
        let end = text.rfind(" at /").or_else(|| text.rfind(" at src/"));
        Self::Mlx(text[..end.unwrap_or(text.len())].to_string())
    }
}

impl From<mlx_rs::error::ConversionError> for Error {
    fn from(e: mlx_rs::error::ConversionError) -> Self {
        match e {
            mlx_rs::error::ConversionError::Exception(e) => e.into(),
            other => Self::Mlx(other.to_string()),
        }
    }
}

/// The candidate nearest to `name`, if one is near enough to be a slip of the pen.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(name, candidate), candidate))
        // Of a short name half the letters may be another, but not all.
        .filter(|(distance, candidate)| {
            let length = candidate.len().min(name.len());
            *distance <= 1 + length / 3 && *distance * 2 <= length.max(2)
        })
        .min()
        .map(|(_, candidate)| candidate.to_string())
}

/// Levenshtein distance by characters.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_neighbour() {
        let names = ["temperature", "top_p", "top_k", "max_tokens"];
        assert_eq!(nearest("temprature", names).as_deref(), Some("temperature"));
        assert_eq!(nearest("top-p", names).as_deref(), Some("top_p"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn an_unknown_setting_lists_the_valid_ones() {
        let error = Error::UnknownSetting {
            of: "generate",
            name: "temprature".into(),
            nearest: Some("temperature".into()),
            valid: vec!["temperature", "top_p"],
        };
        assert_eq!(
            error.to_string(),
            "generate: unknown setting `temprature` (did you mean `temperature`?); \
             the settings are: temperature, top_p"
        );
    }
}
