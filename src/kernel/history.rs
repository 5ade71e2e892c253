//! What was run in this session.

use serde_json::{Value, json};

/// The only session that is known; a front end counts them from 1.
const SESSION: u64 = 1;

/// Cells by number, with what they showed.
#[derive(Default)]
pub struct History {
    cells: Vec<Entry>,
}

struct Entry {
    number: u64,
    code: String,
    shown: Option<String>,
}

impl History {
    /// Notes a cell.
    pub fn push(&mut self, number: u64, code: &str) {
        self.cells.push(Entry {
            number,
            code: code.to_string(),
            shown: None,
        });
    }

    /// Notes what the last cell showed.
    pub fn shown(&mut self, text: Option<&str>) {
        if let Some(last) = self.cells.last_mut() {
            last.shown = text.map(str::to_string);
        }
    }

    /// The answer to a `history_request`.
    pub fn answer(&self, request: &Value) -> Vec<Value> {
        let number = |name: &str| request[name].as_u64();
        let most = number("n").unwrap_or(u64::MAX);
        let found: Vec<&Entry> = match request["hist_access_type"].as_str() {
            Some("range") => {
                let session = request["session"].as_i64().unwrap_or(0);
                // 0 is the running session.
                let known = session == 0 || session == SESSION.cast_signed();
                let from = number("start").unwrap_or(0);
                let to = number("stop").unwrap_or(u64::MAX);
                let within = |e: &&Entry| known && (from..to).contains(&e.number);
                self.cells.iter().filter(within).collect()
            }
            Some("search") => {
                let pattern = request["pattern"].as_str().unwrap_or("*");
                let matching = self.cells.iter().filter(|e| matches(pattern, &e.code));
                let mut found: Vec<&Entry> = matching.collect();
                if request["unique"] == true {
                    let later = |i: usize| found[i + 1..].iter().any(|e| e.code == found[i].code);
                    let once = (0..found.len()).filter(|i| !later(*i));
                    found = once.map(|i| found[i]).collect();
                }
                last(found, most)
            }
            _ => last(self.cells.iter().collect(), most),
        };
        let entry = |e: &Entry| match request["output"] == true {
            true => json!([SESSION, e.number, [e.code, e.shown]]),
            false => json!([SESSION, e.number, e.code]),
        };
        found.into_iter().map(entry).collect()
    }
}

fn last(entries: Vec<&Entry>, most: u64) -> Vec<&Entry> {
    let skipped = entries
        .len()
        .saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
    entries.into_iter().skip(skipped).collect()
}

/// Whether a text is like a pattern of `*` and `?`.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // Where the last `*` stands, and how much of the text it has taken.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|c| *c == '?' || *c == text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, is) in [
            ("*", "", true),
            ("let*", "let x", true),
            ("*x*1", "let x = 1", true),
            ("?et", "let", true),
            ("?et", "lets", false),
            ("a*b", "acbd", false),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }

    #[test]
    fn what_was_run_is_found() {
        let mut history = History::default();
        for (number, code) in ["1", "x", "1"].iter().enumerate() {
            history.push(number as u64 + 1, code);
        }
        history.shown(Some("1"));
        let tail = json!({"hist_access_type": "tail", "n": 2, "output": true});
        let found = history.answer(&tail);
        assert_eq!(
            found,
            [json!([1, 2, ["x", null]]), json!([1, 3, ["1", "1"]])]
        );
        let range = json!({"hist_access_type": "range", "session": 0, "start": 1, "stop": 3});
        assert_eq!(history.answer(&range).len(), 2);
        let search = json!({"hist_access_type": "search", "pattern": "?", "unique": true});
        assert_eq!(
            history.answer(&search),
            [json!([1, 2, "x"]), json!([1, 3, "1"])]
        );
    }
}
