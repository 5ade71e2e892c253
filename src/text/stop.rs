//! Strings at which a text ends.

use super::{StreamDecoder, Tokenizer};
use crate::error::Result;

/// The text before the first of some strings.
pub fn before_stop<'a>(text: &'a str, stop: &[String]) -> &'a str {
    let found = stop.iter().filter_map(|stop| text.find(stop.as_str()));
    &text[..found.min().unwrap_or(text.len())]
}

/// Text as it comes, up to the first of some strings. What may be the beginning of one is held
/// back until it is known.
#[derive(Clone, Debug)]
pub struct StopStream {
    decoder: StreamDecoder,
    stop: Vec<String>,
    held: String,
    stopped: bool,
}

impl StopStream {
    /// A stream at the beginning of a text.
    pub fn new(tokenizer: Tokenizer, stop: Vec<String>) -> Self {
        Self {
            decoder: StreamDecoder::new(tokenizer),
            stop,
            held: String::new(),
            stopped: false,
        }
    }

    /// Takes a token; gives the text that is certain now, and whether it ends there.
    pub fn push(&mut self, id: i32) -> Result<(String, bool)> {
        let piece = self.decoder.push(id)?;
        Ok(self.take(&piece))
    }

    /// The rest, when no more tokens will come.
    pub fn finish(&mut self) -> Result<String> {
        let piece = self.decoder.finish()?;
        let (mut text, _) = self.take(&piece);
        if !self.stopped {
            text.push_str(&std::mem::take(&mut self.held));
        }
        Ok(text)
    }

    fn take(&mut self, piece: &str) -> (String, bool) {
        if self.stopped {
            return (String::new(), true);
        }
        self.held.push_str(piece);
        let before = before_stop(&self.held, &self.stop).len();
        if before < self.held.len() {
            self.stopped = true;
            self.held.truncate(before);
            return (std::mem::take(&mut self.held), true);
        }
        let certain = self.held.len() - self.beginning();
        let rest = self.held.split_off(certain);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// How many bytes at the end of the text may be the beginning of a stop.
    fn beginning(&self) -> usize {
        let longest = self.stop.iter().map(String::len).max().unwrap_or(0);
        let from = self.held.len().saturating_sub(longest.saturating_sub(1));
        let starts = (from..self.held.len()).filter(|at| self.held.is_char_boundary(*at));
        let mut starts = starts.filter(|at| {
            let end = &self.held[*at..];
            self.stop.iter().any(|stop| stop.starts_with(end))
        });
        starts.next().map_or(0, |at| self.held.len() - at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, stop: &[&str]) -> (Vec<String>, bool) {
        let tokenizer = Tokenizer::characters("abcé .").unwrap();
        let ids = tokenizer.encode(text).unwrap();
        let stop = stop.iter().map(|s| s.to_string()).collect();
        let mut stream = StopStream::new(tokenizer, stop);
        let mut pieces = Vec::new();
        for id in ids {
            let (piece, stopped) = stream.push(id).unwrap();
            pieces.push(piece);
            if stopped {
                return (pieces, true);
            }
        }
        pieces.push(stream.finish().unwrap());
        (pieces, false)
    }

    #[test]
    fn a_text_ends_before_the_first_stop() {
        let (pieces, stopped) = pieces("abcab.ca", &["b.c", "zz"]);
        assert!(stopped);
        assert_eq!(pieces.concat(), "abca");
        // The last but one piece waited for what would follow.
        assert_eq!(pieces[1], "");
    }

    #[test]
    fn what_may_become_a_stop_waits_and_comes_out() {
        let (list, stopped) = pieces("ab.b.é", &["b.c", "é.é"]);
        assert!(!stopped);
        assert_eq!(list.concat(), "ab.b.é");
        assert_eq!(list[5], "b.");
        let (list, _) = pieces("ab", &["bc"]);
        assert_eq!(list, ["a", "", "b"]);
    }

    #[test]
    fn the_earliest_of_several_stops_counts() {
        let stop = ["c".to_string(), "bc".to_string()];
        assert_eq!(before_stop("abcabc", &stop), "a");
        assert_eq!(before_stop("aaa", &stop), "aaa");
        let (list, stopped) = pieces("abcb", &["c", "bc"]);
        assert!(stopped && list.concat() == "a");
    }
}
