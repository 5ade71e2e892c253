//! Patterns in texts, by regular expressions that take linear time.

use crate::error::{Error, Result};
use regex::Regex;
use std::cell::RefCell;
use std::collections::HashMap;

/// So many compiled patterns are kept: a reward uses the same few for every output.
const KEPT: usize = 64;

thread_local! {
    static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default();
}

fn compiled(pattern: &str) -> Result<Regex> {
    COMPILED.with_borrow_mut(|known| {
        if let Some(regex) = known.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = Regex::new(pattern).map_err(|error| {
            let expected = format!("a regular expression of the crate `regex` ({error})");
            Error::value("pattern", format!("{pattern:?}"), &expected)
        })?;
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(pattern.to_string(), regex.clone());
        Ok(regex)
    })
}

/// The first match of a pattern.
///
/// # Errors
/// A pattern that is none.
pub fn regex_find<'a>(text: &'a str, pattern: &str) -> Result<Option<&'a str>> {
    Ok(compiled(pattern)?.find(text).map(|found| found.as_str()))
}

/// Every match, from left to right.
///
/// # Errors
/// As [`regex_find`].
pub fn regex_find_all<'a>(text: &'a str, pattern: &str) -> Result<Vec<&'a str>> {
    let found = compiled(pattern)?;
    Ok(found.find_iter(text).map(|m| m.as_str()).collect())
}

/// The first match and its groups; a group that took no part is `None`.
///
/// # Errors
/// As [`regex_find`].
pub fn regex_captures<'a>(text: &'a str, pattern: &str) -> Result<Option<Vec<Option<&'a str>>>> {
    let groups = compiled(pattern)?.captures(text);
    Ok(groups.map(|groups| groups.iter().map(|g| g.map(|g| g.as_str())).collect()))
}

/// The number that a text comes to: the one after its last `####` (GSM8K), or else in its last
/// `\boxed{..}`, or else the last one that stands in it. Commas between thousands are passed over.
pub fn extract_number(text: &str) -> Option<f64> {
    if let Some((_, after)) = text.rsplit_once("####")
        && let Some(number) = numbers(after).next()
    {
        return Some(number);
    }
    if let Some((_, after)) = text.rsplit_once("\\boxed{") {
        let inside = after.split('}').next().unwrap_or(after);
        if let Some(number) = numbers(inside).last() {
            return Some(number);
        }
    }
    numbers(text).last()
}

/// Decimal numbers, from left to right. A minus sign belongs to the number unless something that can
/// be subtracted from stands before it.
fn numbers(text: &str) -> impl Iterator<Item = f64> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(found) = text[at..].find(|c: char| c.is_ascii_digit()) {
            let start = at + found;
            let before = &text[..start];
            // `.5` is a half; `1.5` is no `.5`, and dots that stand in a row are none of a number.
            let head = before
                .strip_suffix('.')
                .filter(|head| !head.ends_with(|c: char| c.is_alphanumeric() || c == '.'));
            let end = match head {
                Some(_) => digits_end(bytes, start),
                None => number_end(bytes, start),
            };
            at = end;
            let minus = head
                .unwrap_or(before)
                .strip_suffix('-')
                .is_some_and(|head| !head.ends_with(|c: char| c.is_alphanumeric() || c == ')'));
            let digits: String = text[start..end].chars().filter(|c| *c != ',').collect();
            let digits = match head {
                Some(_) => format!("0.{digits}"),
                None => digits,
            };
            if let Ok(value) = digits.parse::<f64>() {
                return Some(if minus { -value } else { value });
            }
        }
        None
    })
}

fn digits_end(bytes: &[u8], start: usize) -> usize {
    let digits = bytes[start..].iter().take_while(|b| b.is_ascii_digit());
    start + digits.count()
}

/// Where a number ends that begins with a digit.
fn number_end(bytes: &[u8], start: usize) -> usize {
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let mut end = digits_end(bytes, start);
    // Thousands: up to three digits, then commas with three digits each.
    if end - start <= 3 {
        while bytes.get(end) == Some(&b',') && (end + 1..end + 4).all(digit) && !digit(end + 4) {
            end += 4;
        }
    }
    if bytes.get(end) == Some(&b'.') && digit(end + 1) {
        end = digits_end(bytes, end + 1);
    }
    let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
    if matches!(bytes.get(end), Some(b'e' | b'E')) && digit(end + 1 + sign) {
        end = digits_end(bytes, end + 1 + sign);
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_last_or_the_marked_one() {
        let cases = [
            ("The answer is 42.", Some(42.0)),
            ("3 + 4 = 7", Some(7.0)),
            ("10-3", Some(3.0)),
            ("it is -3", Some(-3.0)),
            ("(2) - 3", Some(3.0)),
            ("$1,234.50", Some(1234.5)),
            ("1,234,567 and 1,2", Some(2.0)),
            ("12,345,678", Some(12_345_678.0)),
            ("about .5", Some(0.5)),
            ("-.5", Some(-0.5)),
            ("hmm ...42", Some(42.0)),
            ("x .5.3 then 7", Some(7.0)),
            ("1234,567", Some(567.0)),
            ("[10000,200]", Some(200.0)),
            ("v1.2.3", Some(3.0)),
            ("6e3 m", Some(6000.0)),
            ("so #### 18 (or 20?)", Some(18.0)),
            ("\\boxed{7} of 9", Some(7.0)),
            ("\\boxed{x} of 9", Some(9.0)),
            ("none", None),
            ("", None),
            ("١٢", None),
        ];
        for (text, expected) in cases {
            assert_eq!(extract_number(text), expected, "{text}");
        }
    }

    #[test]
    fn patterns_find_and_name_their_faults() {
        assert_eq!(regex_find("a1b22", r"\d+").unwrap(), Some("1"));
        assert_eq!(regex_find_all("a1b22", r"\d+").unwrap(), ["1", "22"]);
        let groups = regex_captures("k=v", r"(\w)=(\w)(\d)?").unwrap().unwrap();
        assert_eq!(groups, [Some("k=v"), Some("k"), Some("v"), None]);
        let error = regex_find("", "(").unwrap_err().to_string();
        assert!(error.contains("\"(\""), "{error}");
    }
}
