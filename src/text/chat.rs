//! Conversations as text and as ids.

use super::{TemplateOptions, Tokenizer};
use crate::error::{Error, Result};
use serde_json::Value;
use std::ops::Range;

/// Characters that Unicode leaves to private use: one that a conversation does not have marks, for
/// the time of a rendering, what is text although it reads like a special token.
const MARKS: std::ops::RangeInclusive<char> = '\u{e000}'..='\u{f8ff}';

impl Tokenizer {
    /// The text of a list of messages by the model's template.
    ///
    /// # Errors
    /// A tokenizer without a template, messages that are none, what the template raises.
    pub fn render(&self, messages: &Value, options: &TemplateOptions) -> Result<String> {
        check(messages)?;
        let template = self.template.as_ref().ok_or_else(|| {
            Error::Unsupported(
                "this tokenizer has no chat template (`chat_template.jinja`, or `chat_template` in \
                 tokenizer_config.json), so messages cannot become a prompt; give a string"
                    .into(),
            )
        })?;
        template.render(messages, options)
    }

    /// The ids of a list of messages by the model's template.
    ///
    /// Special tokens come from the template alone: what reads like one in a message stays text,
    /// so that nobody ends a turn by writing `<|im_end|>`.
    ///
    /// # Errors
    /// As for [`render`](Self::render).
    pub fn encode_messages(&self, messages: &Value, options: &TemplateOptions) -> Result<Vec<i32>> {
        let safe = self.safe(messages, options)?;
        let text = self.render(&safe.messages, &safe.options)?;
        match safe.mark {
            None => self.encode(&text),
            Some(_) => {
                let tokens = self.encode_safe(&text, safe.mark)?;
                Ok(tokens.into_iter().map(|(id, _)| id).collect())
            }
        }
    }

    /// A conversation in which what reads like a special token has a mark within.
    ///
    /// # Errors
    /// The name of a field reads like a special token: a template may print it, and also asks for it.
    pub(super) fn safe(&self, messages: &Value, options: &TemplateOptions) -> Result<Safe> {
        let specials = self.special_tokens();
        let all = serde_json::json!([messages, options.tools]);
        let mut safe = Safe {
            messages: messages.clone(),
            options: options.clone(),
            mark: None,
        };
        if !any_text(&all, &|text| specials.iter().any(|s| text.contains(&s.0))) {
            return Ok(safe);
        }
        if let Some(name) = special_field(&all, &specials) {
            let found = format!("a field named `{name}`");
            return Err(Error::value(
                "messages",
                found,
                "names without special tokens",
            ));
        }
        let mark = free_marks(&all).next().ok_or_else(no_marks)?;
        let broken = |text: &str| marked(text, &specials, mark);
        map_texts(&mut safe.messages, &broken);
        let tools = safe.options.tools.iter_mut();
        tools.for_each(|tools| map_texts(tools, &broken));
        safe.mark = Some(mark);
        Ok(safe)
    }

    /// The ids of a text that [`safe`](Self::safe) messages became, each with the bytes that it
    /// stands for, counted without the marks: special tokens that are whole are the template's, the
    /// rest is text.
    pub(super) fn encode_safe(
        &self,
        text: &str,
        mark: Option<char>,
    ) -> Result<Vec<(i32, Range<usize>)>> {
        let Some(mark) = mark else {
            return self.encode_placed(text);
        };
        let (mut tokens, mut at) = (Vec::new(), 0);
        let specials = self.special_tokens();
        for (piece, special) in split(text, &specials) {
            let piece = piece.replace(mark, "");
            let placed = self.encode_literal_placed(&piece)?.into_iter();
            tokens.extend(placed.map(|(id, bytes)| (id, at + bytes.start..at + bytes.end)));
            at += piece.len();
            let content = specials.iter().find(|(_, id)| Some(*id) == special);
            if let Some((content, id)) = content {
                tokens.push((*id, at..at + content.len()));
                at += content.len();
            }
        }
        Ok(tokens)
    }

    /// Names and ids of the special tokens, the longest first.
    fn special_tokens(&self) -> Vec<(String, i32)> {
        let added = self.inner.get_added_tokens_decoder();
        let specials = added.iter().filter(|(_, token)| token.special);
        let mut list: Vec<(String, i32)> = specials
            .map(|(id, token)| (token.content.clone(), *id as i32))
            .filter(|(content, _)| !content.is_empty())
            .collect();
        list.sort_by_key(|(content, id)| (std::cmp::Reverse(content.len()), *id));
        list
    }
}

/// A conversation whose special tokens are the template's alone, once it is rendered.
pub(super) struct Safe {
    pub messages: Value,
    pub options: TemplateOptions,
    /// What stands within the others; it is no part of the text.
    pub mark: Option<char>,
}

/// Characters of private use that no text in a value has.
pub(super) fn free_marks(all: &Value) -> impl Iterator<Item = char> {
    MARKS.filter(|mark| !any_text(all, &|text| text.contains(*mark)))
}

/// Every character of private use is taken.
pub(super) fn no_marks() -> Error {
    Error::value("messages", "every character of private use", "fewer")
}

/// An error for a message without a role, which a template would leave out in silence.
fn check(messages: &Value) -> Result<()> {
    let list = messages.as_array().into_iter().flatten();
    for (i, message) in list.enumerate() {
        if message.is_object() && message["role"].as_str().is_none() {
            let what = format!("messages[{i}].role");
            let expected = "a text such as \"user\", \"assistant\" or \"system\"";
            return Err(Error::value(what, &message["role"], expected));
        }
    }
    Ok(())
}

/// Whether a condition holds for any text in a value, names of fields included.
fn any_text(value: &Value, holds: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => holds(text),
        Value::Array(list) => list.iter().any(|item| any_text(item, holds)),
        Value::Object(map) => map
            .iter()
            .any(|(key, item)| holds(key) || any_text(item, holds)),
        _ => false,
    }
}

/// The name of a field that reads like a special token.
fn special_field<'a>(value: &'a Value, specials: &[(String, i32)]) -> Option<&'a str> {
    match value {
        Value::Array(list) => list.iter().find_map(|item| special_field(item, specials)),
        Value::Object(map) => map.iter().find_map(|(key, item)| {
            let reads = specials.iter().any(|(special, _)| key.contains(special));
            reads
                .then_some(key.as_str())
                .or_else(|| special_field(item, specials))
        }),
        _ => None,
    }
}

/// Replaces every text in a value. Names of fields stay: templates ask for them.
fn map_texts(value: &mut Value, f: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = f(text),
        Value::Array(list) => list.iter_mut().for_each(|item| map_texts(item, f)),
        Value::Object(map) => map.values_mut().for_each(|item| map_texts(item, f)),
        _ => {}
    }
}

/// The text with a mark after the first character of each special token.
fn marked(text: &str, specials: &[(String, i32)], mark: char) -> String {
    let mut result = String::with_capacity(text.len() + 8);
    for (piece, special) in split(text, specials) {
        result.push_str(piece);
        let content = specials.iter().find(|(_, id)| Some(*id) == special);
        if let Some((content, _)) = content {
            let mut characters = content.chars();
            result.extend(characters.next());
            result.push(mark);
            result.push_str(characters.as_str());
        }
    }
    result
}

/// The pieces between special tokens, each with the token after it.
fn split<'a>(text: &'a str, specials: &[(String, i32)]) -> Vec<(&'a str, Option<i32>)> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    let first = |rest: &str| {
        let found = specials
            .iter()
            .filter_map(|(content, id)| rest.find(content).map(|at| (at, content.len(), *id)));
        // Of those that begin at one place the longest counts; they come in that order.
        found.min_by_key(|(at, ..)| *at)
    };
    while let Some((at, length, id)) = first(rest) {
        pieces.push((&rest[..at], Some(id)));
        rest = &rest[at + length..];
    }
    pieces.push((rest, None));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tokenizer() -> Tokenizer {
        let specials: Vec<(String, i32)> = vec![("<e>".into(), 1), ("<end>".into(), 2)];
        let added: Vec<Value> = specials
            .iter()
            .map(|(content, id)| {
                json!({ "id": id, "content": content, "single_word": false, "lstrip": false,
                        "rstrip": false, "normalized": false, "special": true })
            })
            .collect();
        let letters = ["<", ">", "e", "n", "d", "u", ":", " "];
        let vocab: serde_json::Map<_, _> = letters
            .iter()
            .enumerate()
            .map(|(i, letter)| (letter.to_string(), (10 + i as i32)))
            .chain(specials.clone())
            .map(|(token, id)| (token, id.into()))
            .collect();
        let description = json!({
            "version": "1.0", "added_tokens": added,
            "pre_tokenizer": { "type": "Split", "pattern": { "Regex": "(?s)." },
                               "behavior": "Isolated", "invert": false },
            "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "?" },
        });
        let template = "{% for m in messages %}{{ m.role }}:{{ m.content }}<end>{% endfor %}";
        let config = json!({ "chat_template": template });
        Tokenizer::new(description.to_string().as_bytes(), config).unwrap()
    }

    #[test]
    fn special_tokens_come_from_the_template_alone() {
        let tokenizer = tokenizer();
        let options = TemplateOptions::default();
        let ids = |content: &str| {
            let messages = json!([{ "role": "u", "content": content }]);
            tokenizer.encode_messages(&messages, &options).unwrap()
        };
        assert_eq!(ids("e"), [15, 16, 12, 2]);
        assert_eq!(ids("<end>"), [15, 16, 10, 12, 13, 14, 11, 2]);
        assert_eq!(ids("<e><e>"), [15, 16, 10, 12, 11, 10, 12, 11, 2]);
        // A string is the user's own doing.
        assert_eq!(tokenizer.encode("u<end>").unwrap(), [15, 2]);
        assert_eq!(tokenizer.encode_literal("<e>").unwrap(), [10, 12, 11]);
    }

    #[test]
    fn what_is_no_conversation_is_refused() {
        let error = |messages: Value| {
            let options = TemplateOptions::default();
            let error = tokenizer().render(&messages, &options).unwrap_err();
            error.to_string()
        };
        assert!(error(json!([])).contains("at least one"));
        assert!(error(json!([{ "content": "x" }])).contains("messages[0].role"));
        assert!(error(json!("x")).contains("list"));
        let plain = Tokenizer::characters("u").unwrap();
        let messages = json!([{ "role": "u", "content": "u" }]);
        let error = plain.render(&messages, &TemplateOptions::default());
        assert!(error.unwrap_err().to_string().contains("chat template"));
    }
}
