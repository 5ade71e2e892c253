//! Files of examples. A bad line names file and line, and nothing is loaded.

use super::{Dataset, Row};
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// A file with one JSON object a line; blank lines are passed over.
pub fn jsonl(path: &Path) -> Result<Dataset> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let bad = |reason: String| Error::DataLine {
            path: path.to_path_buf(),
            line: number as u64 + 1,
            reason,
        };
        match serde_json::from_str(line).map_err(|e| bad(format!("not JSON: {e}")))? {
            Value::Object(fields) => rows.push(Row { fields }),
            _ => return Err(bad("not a JSON object".into())),
        }
    }
    Ok(Dataset::new(rows))
}

/// A file of comma-separated values with a header; every value is a string.
pub fn csv(path: &Path) -> Result<Dataset> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut reader = csv::Reader::from_reader(file);
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
    let names: Vec<String> = reader
        .headers()
        .map_err(bad)?
        .iter()
        .map(String::from)
        .collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(bad)?;
        let values = record.iter().map(|value| Value::String(value.to_string()));
        let fields: Map<String, Value> = names.iter().cloned().zip(values).collect();
        rows.push(Row { fields });
    }
    Ok(Dataset::new(rows))
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
        let data = csv(file("prompt,answer\n\"1,2\",3\nx,y\n").path()).unwrap();
        assert_eq!(data.rows()[0].prompt().unwrap(), "1,2");
        assert_eq!(data.columns(), ["prompt", "answer"]);
        let data = jsonl(file("{\"prompt\": \"a\", \"n\": 1}\n\n{\"prompt\": \"b\"}").path());
        assert_eq!(data.unwrap().rows().len(), 2);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = csv(file("a,b\n1,2\n3\n").path()).unwrap_err().to_string();
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
}
