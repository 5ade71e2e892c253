//! Files of examples. A bad line names file and line, and nothing is loaded.

use super::{Dataset, Row};
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Columns that are text whatever stands in them: an answer `007` is no 7.
const TEXT: [&str; 5] = ["prompt", "answer", "completion", "text", "system"];

/// Some editors begin a file so.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A file with one JSON object a line; blank lines are passed over.
pub fn jsonl(path: &Path) -> Result<Dataset> {
    let file = BufReader::new(File::open(path).map_err(Error::io(path))?);
    let mut rows = Vec::new();
    for (number, line) in file.lines().enumerate() {
        let bad = |reason: String| Error::DataLine {
            path: path.to_path_buf(),
            line: number as u64 + 1,
            reason,
        };
        let line = line.map_err(|e| bad(e.to_string()))?;
        let text = match number {
            0 => line.trim_start_matches(BYTE_ORDER_MARK),
            _ => line.as_str(),
        };
        if text.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(text).map_err(|e| bad(format!("not JSON: {e}")))? {
            Value::Object(fields) => rows.push(Row::new(fields)),
            _ => return Err(bad("not a JSON object".into())),
        }
    }
    Ok(Dataset::new(rows))
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Integer,
    Number,
    Boolean,
    String,
}

impl Column {
    /// The type of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "integer" => Ok(Self::Integer),
            "number" => Ok(Self::Number),
            "boolean" => Ok(Self::Boolean),
            "string" => Ok(Self::String),
            other => {
                let expected = "integer, number, boolean or string";
                Err(Error::setting("types", other, expected))
            }
        }
    }

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::String => "string",
        }
    }

    /// A value of the type; nothing where the text is none. An empty cell is a missing value.
    fn value(self, text: &str) -> Option<Value> {
        if self == Self::String {
            return Some(Value::from(text));
        }
        let text = text.trim();
        if text.is_empty() {
            return Some(Value::Null);
        }
        match self {
            Self::Integer => integer(text).map(Value::from),
            Self::Number => number(text).map(Value::from),
            _ => text.parse::<bool>().ok().map(Value::from),
        }
    }
}

/// An integer as one would write it: `7` and `-7`, not `007` or `+7`, which are names of something.
fn integer(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn number(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches('-');
    let has_leading_zeros =
        digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || has_leading_zeros {
        return None;
    }
    // A whole number that is too large for an integer is a name of something, whose last digits count.
    if digits.bytes().all(|b| b.is_ascii_digit()) && text.parse::<i64>().is_err() {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

/// How a file of separated values is read.
#[derive(Clone, Debug)]
pub struct CsvSettings {
    pub delimiter: u8,
    /// Columns whose types are not to be found out.
    pub types: Vec<(String, Column)>,
}

impl Default for CsvSettings {
    fn default() -> Self {
        Self {
            delimiter: b',',
            types: Vec::new(),
        }
    }
}

/// A file of separated values with a header. A column in which every value is an integer, a number
/// or `true`/`false` holds these; `prompt`, `answer`, `completion`, `text` and `system` hold text.
///
/// It is read twice, once for the types, so that only the rows themselves are held.
pub fn csv(path: &Path, settings: &CsvSettings) -> Result<Dataset> {
    let bad = |e: csv::Error| Error::DataLine {
        path: path.to_path_buf(),
        line: e.position().map_or(1, csv::Position::line),
        reason: match e.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => format!("{len} values, and {expected_len} in the header"),
            _ => e.to_string(),
        },
    };
    let open = || -> Result<csv::Reader<File>> {
        let file = File::open(path).map_err(Error::io(path))?;
        let mut builder = csv::ReaderBuilder::new();
        Ok(builder.delimiter(settings.delimiter).from_reader(file))
    };
    // 1. Names and types.
    let mut reader = open()?;
    let header = reader.headers().map_err(bad)?.clone();
    let names: Vec<&str> = header
        .iter()
        .map(|n| n.trim_start_matches(BYTE_ORDER_MARK))
        .collect();
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            let reason = format!("the column `{name}` stands twice in the header");
            return Err(Error::DataLine {
                path: path.to_path_buf(),
                line: 1,
                reason,
            });
        }
    }
    let known = |name: &&str| {
        let given = settings.types.iter().find(|(known, _)| known == name);
        let text = TEXT.contains(name).then_some(Column::String);
        given.map(|(_, column)| *column).or(text)
    };
    if let Some((name, _)) = settings
        .types
        .iter()
        .find(|(name, _)| !names.contains(&name.as_str()))
    {
        let expected = format!("one of the columns {}", names.join(", "));
        return Err(Error::setting("types", name, &expected));
    }
    let mut guesses: Vec<Guess> = names.iter().map(|name| Guess::new(known(name))).collect();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(bad)? {
        for (guess, text) in guesses.iter_mut().zip(&record) {
            guess.see(text);
        }
    }
    // 2. The rows.
    let columns: Vec<Column> = guesses.iter().map(Guess::best).collect();
    let (mut reader, mut rows) = (open()?, Vec::new());
    while reader.read_record(&mut record).map_err(bad)? {
        let mut fields = Map::with_capacity(names.len());
        for ((name, column), text) in names.iter().zip(&columns).zip(&record) {
            let value = column.value(text).ok_or_else(|| Error::DataLine {
                path: path.to_path_buf(),
                line: record.position().map_or(0, csv::Position::line),
                reason: format!("`{name}` is {text:?}, and `types` says {}", column.name()),
            })?;
            fields.insert((*name).to_string(), value);
        }
        rows.push(Row::new(fields));
    }
    Ok(Dataset::new(rows))
}

/// The types that a column may still have, likeliest first.
struct Guess(Vec<Column>, bool);

impl Guess {
    fn new(known: Option<Column>) -> Self {
        let all = vec![
            Column::Integer,
            Column::Number,
            Column::Boolean,
            Column::String,
        ];
        Self(known.map_or(all, |known| vec![known]), false)
    }

    fn see(&mut self, text: &str) {
        if self.0.len() > 1 {
            self.0.retain(|column| column.value(text).is_some());
        }
        self.1 |= !text.trim().is_empty();
    }

    /// A column without any value is one of empty texts.
    fn best(&self) -> Column {
        match self.0.as_slice() {
            [known] => *known,
            [best, ..] if self.1 => *best,
            _ => Column::String,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn rows_are_read_with_their_names() {
        let data = csv(
            file("prompt,answer\n\"1,2\",3\nx,y\n").path(),
            &CsvSettings::default(),
        )
        .unwrap();
        assert_eq!(data.rows()[0].prompt().unwrap(), "1,2");
        assert_eq!(data.columns(), ["prompt", "answer"]);
        let data = jsonl(file("{\"prompt\": \"a\", \"n\": 1}\n\n{\"prompt\": \"b\"}").path());
        assert_eq!(data.unwrap().rows().len(), 2);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = csv(file("a,b\n1,2\n3\n").path(), &CsvSettings::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 3") && error.contains("1 values"),
            "{error}"
        );
        let error = jsonl(file("{}\n[]\n").path()).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(
            jsonl(Path::new("/no/such"))
                .unwrap_err()
                .to_string()
                .contains("/no/such")
        );
    }

    fn types(content: &str) -> (Dataset, Vec<&'static str>) {
        let data = csv(file(content).path(), &CsvSettings::default()).unwrap();
        let types = data.types().into_iter().map(|(_, kind)| kind).collect();
        (data, types)
    }

    #[test]
    fn types_are_those_of_every_value() {
        let text = "\u{feff}prompt,level,share,hard,zip,answer,note\n1,2,0.5,true,007,3,\n2,-4,1,false,12,4,x\n";
        let (data, types) = types(text);
        let names = ["prompt", "level", "share", "hard", "zip", "answer", "note"];
        assert_eq!(data.columns(), names);
        let expected = [
            "string", "integer", "number", "boolean", "string", "string", "string",
        ];
        assert_eq!(types, expected);
        assert_eq!(data.rows()[1].fields["level"], -4);
        assert_eq!(data.rows()[0].fields["zip"], "007");
    }

    #[test]
    fn missing_values_are_missing_and_broken_columns_are_text() {
        let (data, types) = types("n,m,e\n1,1,\n,1e400,\n3,nan,\n");
        assert_eq!(types, ["integer", "string", "string"]);
        assert_eq!(data.rows()[1].fields["n"], Value::Null);
    }

    #[test]
    fn given_types_are_kept_to() {
        let mut settings = CsvSettings {
            types: vec![("n".into(), Column::String)],
            delimiter: b'\t',
        };
        let good = file("n\tm\n1\t2\n");
        let data = csv(good.path(), &settings).unwrap();
        assert_eq!(data.rows()[0].fields["n"], "1");
        settings.types = vec![("m".into(), Column::Boolean)];
        let error = csv(good.path(), &settings).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("`m`"), "{error}");
        settings.types = vec![("k".into(), Column::Boolean)];
        let error = csv(good.path(), &settings).unwrap_err().to_string();
        assert!(error.contains("n, m"), "{error}");
    }
}
