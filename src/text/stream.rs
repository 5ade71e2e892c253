//! Text as it comes, token by token.

use super::Tokenizer;
use crate::error::Result;

/// What an unfinished character decodes to, and one that is none.
const BROKEN: char = '\u{fffd}';

/// A character has up to four bytes, and a token at least one: after so many tokens it is not
/// unfinished, it is no character.
const LONGEST: usize = 4;

/// Tokens without text that are looked back over, so that many of them take no more time.
const WINDOW: usize = 16;

/// Turns tokens into pieces of text that end with whole characters.
///
/// A few tokens are decoded twice at each step, with and without the new ones: what a token adds
/// to a text can depend on the one before it, and no more.
#[derive(Clone, Debug)]
pub struct StreamDecoder {
    tokenizer: Tokenizer,
    ids: Vec<i32>,
    /// The first token that is still decoded.
    start: usize,
    /// The first token that was not given out yet.
    next: usize,
}

impl StreamDecoder {
    /// A decoder at the beginning of a text.
    pub fn new(tokenizer: Tokenizer) -> Self {
        Self {
            tokenizer,
            ids: Vec::new(),
            start: 0,
            next: 0,
        }
    }

    /// Takes a token; gives the text that is certain now, which may be empty.
    pub fn push(&mut self, id: i32) -> Result<String> {
        self.ids.push(id);
        self.piece(false)
    }

    /// The rest, when no more tokens will come.
    pub fn finish(&mut self) -> Result<String> {
        self.piece(true)
    }

    fn piece(&mut self, last: bool) -> Result<String> {
        let before = self.tokenizer.decode(&self.ids[self.start..self.next])?;
        let whole = self.tokenizer.decode(&self.ids[self.start..])?;
        let waiting = self.ids.len() - self.next;
        if whole.ends_with(BROKEN) && waiting < LONGEST && !last {
            return Ok(String::new());
        }
        // What was given out may not be how the text begins now: some decoders tidy up spaces.
        let piece = whole.get(before.len()..).unwrap_or_default().to_string();
        if !piece.is_empty() || waiting >= WINDOW {
            (self.start, self.next) = (self.next, self.ids.len());
        } else if !whole.ends_with(BROKEN) {
            // Special tokens, which are no text: nothing waits for what comes after them.
            self.next = self.ids.len();
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// One token for each byte, as the smallest byte-level BPE.
    fn bytes() -> Tokenizer {
        let letter = |byte: u8| match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
            // The others are moved to where letters can be seen.
            _ => {
                let others =
                    (0..byte).filter(|b| !matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff));
                char::from_u32(256 + others.count() as u32).unwrap()
            }
        };
        let vocab: serde_json::Map<_, _> = (0..=255u8)
            .map(|byte| (letter(byte).to_string(), byte.into()))
            .collect();
        let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false,
                            "use_regex": false });
        let description = json!({
            "version": "1.0", "added_tokens": [], "pre_tokenizer": level, "decoder": level,
            "model": { "type": "BPE", "vocab": vocab, "merges": [] },
        });
        Tokenizer::new(description.to_string().as_bytes(), json!({})).unwrap()
    }

    fn pieces(ids: &[i32]) -> Vec<String> {
        let mut decoder = StreamDecoder::new(bytes());
        let mut pieces: Vec<String> = ids.iter().map(|id| decoder.push(*id).unwrap()).collect();
        pieces.push(decoder.finish().unwrap());
        pieces
    }

    #[test]
    fn characters_come_whole() {
        let text = "aé 漢字 👩‍👩‍👧 \u{301}!";
        let ids: Vec<i32> = text.bytes().map(i32::from).collect();
        let pieces = pieces(&ids);
        assert!(pieces.iter().all(|piece| !piece.contains(BROKEN)));
        assert_eq!(pieces.concat(), text);
        assert_eq!(&pieces[..3], ["a", "", "é"]);
    }

    #[test]
    fn what_is_no_character_is_not_held_back_for_ever() {
        let ids = [97, 0x80, 0x80, 0x80, 0x80, 0x80, 98, 0xe6];
        let pieces = pieces(&ids);
        assert!(pieces[..6].concat().contains(BROKEN));
        assert_eq!(pieces.concat(), bytes().decode(&ids).unwrap());
    }
}
