//! Conversations as text and as ids.

use super::{TemplateOptions, Tokenizer};
use crate::error::{Error, Result};
use serde_json::Value;

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
        let specials = self.special_tokens();
        let all = serde_json::json!([messages, options.tools]);
        let suspicious = any_text(&all, &|text| specials.iter().any(|s| text.contains(&s.0)));
        if !suspicious {
            return self.encode(&self.render(messages, options)?);
        }
        // 1. A template may print the names of fields, which it also asks for: they stay as they are.
        if let Some(name) = special_field(&all, &specials) {
            let found = format!("a field named `{name}`");
            return Err(Error::value(
                "messages",
                found,
                "names without special tokens",
            ));
        }
        // 2. Render with a mark within each of them.
        let free = |mark: &char| !any_text(&all, &|text| text.contains(*mark));
        let mark = MARKS
            .into_iter()
            .find(free)
            .ok_or_else(|| Error::value("messages", "every character of private use", "fewer"))?;
        let (mut messages, mut options) = (messages.clone(), options.clone());
        let broken = |text: &str| marked(text, &specials, mark);
        map_texts(&mut messages, &broken);
        options
            .tools
            .iter_mut()
            .for_each(|tools| map_texts(tools, &broken));
        let text = self.render(&messages, &options)?;
        // 3. What is still whole is the template's; the rest is text.
        let mut ids = Vec::new();
        for (piece, special) in split(&text, &specials) {
            ids.extend(self.encode_literal(&piece.replace(mark, ""))?);
            ids.extend(special);
        }
        Ok(ids)
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
