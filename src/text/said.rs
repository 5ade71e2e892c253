//! What the assistant says in a conversation, token by token: what a model is to learn.
//!
//! A template may say it by `{% generation %}`. Most do not, and then it is found in the text: what an
//! assistant's message holds is marked before it is rendered, so that the marks show where it came
//! out; what it says begins after the header that a prompt ends with, and ends with the end of its
//! turn. Nothing is asked of the text of earlier turns, because templates write that anew: Qwen3
//! drops the thinking of a turn once another question follows.

use super::chat::{Safe, free_marks, no_marks};
use super::{TemplateOptions, Tokenizer};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::ops::Range;

/// The ids of a conversation, and which of them are to be learnt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learnable {
    pub ids: Vec<i32>,
    pub learnt: Vec<bool>,
}

/// A rendered conversation: its text, in which special tokens that are no tokens are still marked,
/// and places in it.
struct Spans {
    text: String,
    spans: Vec<Range<usize>>,
}

/// What the assistant says by one message.
struct Turn {
    message: usize,
    span: Range<usize>,
}

/// A message's place in a text: the first and the last byte of what it holds.
type Place = Option<Range<usize>>;

impl Tokenizer {
    /// The ids of a conversation, of which those are learnt that the assistant says, the end of its
    /// turns included. `ends` are the ids that end a turn.
    ///
    /// # Errors
    /// As for [`encode_messages`](Self::encode_messages); a template in whose text the turns cannot
    /// be found.
    pub fn encode_said(
        &self,
        messages: &Value,
        options: &TemplateOptions,
        ends: &[i32],
    ) -> Result<Learnable> {
        let safe = self.safe(messages, options)?;
        let by_template = self.template.as_ref().is_some_and(|t| t.has_marks());
        let found = match by_template {
            true => self.marked_by_template(&safe)?,
            false => {
                let (text, turns) = self.turns(&safe, ends)?;
                let spans = turns.into_iter().map(|turn| turn.span).collect();
                Spans { text, spans }
            }
        };
        self.learnable(&found, safe.mark)
    }

    /// The ids of a conversation that goes on after a prompt; what comes after the prompt is learnt.
    ///
    /// # Errors
    /// As for [`encode_said`](Self::encode_said).
    pub fn encode_continued(
        &self,
        prompt: &Value,
        completion: &Value,
        options: &TemplateOptions,
        ends: &[i32],
    ) -> Result<Learnable> {
        let lists = [prompt, completion].map(|list| list.as_array().cloned().unwrap_or_default());
        let count = lists[0].len();
        let safe = self.safe(&lists.concat().into(), options)?;
        let text = self.render(&safe.messages, &safe.options)?;
        let asked = self.render(&first(&safe.messages, count), &asking(&safe.options))?;
        let start = match text.starts_with(&asked) {
            true => asked.len(),
            // The template writes the prompt in another way once an answer follows.
            false => {
                let (_, turns) = self.turns(&safe, ends)?;
                let turn = turns.iter().find(|turn| turn.message == count);
                turn.map(|turn| turn.span.start)
                    .ok_or_else(|| lost(count))?
            }
        };
        let spans = std::iter::once(start..text.len()).collect();
        self.learnable(&Spans { text, spans }, safe.mark)
    }

    fn marked_by_template(&self, safe: &Safe) -> Result<Spans> {
        let all = json!([safe.messages, safe.options.tools, safe.options.extra]);
        let mut free = free_marks(&all).filter(|mark| Some(*mark) != safe.mark);
        let (open, close) = free.next().zip(free.next()).ok_or_else(no_marks)?;
        let (opens, closes) = (open.to_string(), close.to_string());
        let marked = match &self.template {
            Some(template) => {
                template.render_marked(&safe.messages, &safe.options, [&opens, &closes])?
            }
            None => String::new(),
        };
        let (mut text, mut spans) = (String::with_capacity(marked.len()), Vec::new());
        for character in marked.chars() {
            match character {
                c if c == open => spans.push(text.len()..text.len()),
                c if c == close => {
                    let length = text.len();
                    spans.iter_mut().rev().take(1).for_each(|s| s.end = length);
                }
                other => text.push(other),
            }
        }
        Ok(Spans { text, spans })
    }

    /// The text of a conversation, and the place of each of the assistant's turns in it with the
    /// number of its message.
    fn turns(&self, safe: &Safe, ends: &[i32]) -> Result<(String, Vec<Turn>)> {
        let list = safe.messages.as_array().cloned().unwrap_or_default();
        let said: Vec<usize> = (0..list.len())
            .filter(|i| is_assistant(&list[*i]))
            .collect();
        let plain = self.render(&safe.messages, &safe.options)?;
        if said.is_empty() {
            return Ok((plain, Vec::new()));
        }
        // 1. Where what the messages hold comes out.
        let all = json!([safe.messages, safe.options.tools, safe.options.extra]);
        let marks: Vec<char> = free_marks(&all)
            .filter(|mark| Some(*mark) != safe.mark)
            .take(said.len())
            .collect();
        if marks.len() < said.len() {
            return Err(no_marks());
        }
        let (marked, places) = self.places(safe, &said, &marks, &plain)?;
        // 2. The header of a turn: what a prompt has more than the conversation.
        let asked = self.render(&safe.messages, &asking(&safe.options))?;
        let header = asked.strip_prefix(&plain);
        let header = header.ok_or_else(|| lost(said[0]))?;
        let end_tokens: Vec<String> = ends.iter().filter_map(|id| self.token(*id)).collect();
        // 3. From the header to the end of the turn, message by message.
        let (mut turns, mut after) = (Vec::new(), 0);
        for (k, message) in said.iter().enumerate() {
            let (start, last) = match &places[k] {
                Some(place) => {
                    let region = &plain[after..place.start.max(after)];
                    let start = headers(header)
                        .find_map(|h| region.rfind(h).map(|at| after + at + h.len()));
                    let start = match header.is_empty() {
                        true => Some(place.start),
                        false => start,
                    };
                    (start.ok_or_else(|| lost(*message))?, place.end)
                }
                // It holds nothing: the next header is its own.
                None => {
                    let found = headers(header)
                        .find_map(|h| plain[after..].find(h).map(|at| after + at + h.len()));
                    let start = found.ok_or_else(|| lost(*message))?;
                    (start, start)
                }
            };
            let upto = first(&marked, message + 1);
            let ending = self.ending(safe, &upto, marks[k], &marks, header)?;
            let end = last + end_of_turn(&plain[last..], &ending, &end_tokens);
            turns.push(Turn {
                message: *message,
                span: start..end,
            });
            after = end;
        }
        Ok((plain, turns))
    }

    /// The messages with marks around what the assistant's hold, and where that comes out.
    fn places(
        &self,
        safe: &Safe,
        said: &[usize],
        marks: &[char],
        plain: &str,
    ) -> Result<(Value, Vec<Place>)> {
        // A template that looks at the beginning of a text bears a mark at its end.
        for both in [true, false] {
            let mut marked = safe.messages.clone();
            for (message, mark) in said.iter().zip(marks) {
                mark_message(&mut marked[*message], *mark, both);
            }
            let rendered = self.render(&marked, &safe.options)?;
            let (mut text, mut places) = (String::new(), vec![None; said.len()]);
            for character in rendered.chars() {
                match marks.iter().position(|mark| *mark == character) {
                    Some(k) => {
                        let place: &mut Place = &mut places[k];
                        place.get_or_insert(text.len()..text.len()).end = text.len();
                    }
                    None => text.push(character),
                }
            }
            if text == plain {
                return Ok((marked, places));
            }
        }
        Err(Error::Unsupported(format!(
            "the chat template prints other text once the assistant's is marked, so what it says cannot \
             be found; {REMEDY}"
        )))
    }

    /// What a template prints after what the last message holds.
    fn ending(
        &self,
        safe: &Safe,
        messages: &Value,
        mark: char,
        marks: &[char],
        header: &str,
    ) -> Result<String> {
        let text = self.render(messages, &safe.options)?;
        let tail = match text.rfind(mark) {
            Some(at) => &text[at + mark.len_utf8()..],
            None => {
                let found =
                    headers(header).find_map(|h| text.rfind(h).map(|at| &text[at + h.len()..]));
                found.unwrap_or_default()
            }
        };
        Ok(tail.replace(marks, ""))
    }

    fn learnable(&self, found: &Spans, mark: Option<char>) -> Result<Learnable> {
        // The tokens know nothing of the marks, so places are counted without them.
        let without = |at: usize| {
            let marks = mark.map_or(0, |mark| {
                found.text[..at].matches(mark).count() * mark.len_utf8()
            });
            at - marks
        };
        let spans: Vec<Range<usize>> = found
            .spans
            .iter()
            .map(|span| without(span.start)..without(span.end))
            .collect();
        let tokens = self.encode_safe(&found.text, mark)?;
        let within = |place: &Range<usize>| {
            let overlaps = |span: &Range<usize>| place.start < span.end && span.start < place.end;
            spans.iter().any(overlaps)
        };
        Ok(Learnable {
            learnt: tokens.iter().map(|(_, place)| within(place)).collect(),
            ids: tokens.into_iter().map(|(id, _)| id).collect(),
        })
    }
}

const REMEDY: &str = "use a template that says it by {% generation %} blocks, or leave \
                      assistant_only_loss off";

fn lost(message: usize) -> Error {
    Error::Unsupported(format!(
        "the chat template does not begin messages[{message}] as it ends a prompt, so what the \
         assistant says cannot be found; {REMEDY}"
    ))
}

fn is_assistant(message: &Value) -> bool {
    matches!(message["role"].as_str(), Some("assistant" | "model"))
}

fn first(messages: &Value, count: usize) -> Value {
    let list = messages.as_array().into_iter().flatten();
    list.take(count).cloned().collect()
}

fn asking(options: &TemplateOptions) -> TemplateOptions {
    TemplateOptions {
        add_generation_prompt: true,
        ..options.clone()
    }
}

/// A header, and what it is in turns that do not think: its beginnings by lines, and what comes
/// before `<think>`. The longest comes first.
fn headers(header: &str) -> impl Iterator<Item = &str> {
    let mut ends: Vec<usize> = header.match_indices('\n').map(|(at, _)| at + 1).collect();
    ends.extend(header.find("<think>"));
    ends.push(header.len());
    ends.sort_unstable_by(|a, b| b.cmp(a));
    ends.dedup();
    // Where the header names the assistant, what does not is the header of anybody.
    let named = |part: &str| part.to_lowercase().contains("assistant");
    let needs_name = named(header);
    let parts = ends.into_iter().map(|end| &header[..end]);
    parts.filter(move |part| !part.trim().is_empty() && (named(part) || !needs_name))
}

/// How much of a text ends a turn: what it has in common with the ending that the turn would have as
/// the last one, up to the first token that ends a text.
fn end_of_turn(text: &str, ending: &str, end_tokens: &[String]) -> usize {
    let pairs = text.char_indices().zip(ending.chars());
    let mut same = pairs.take_while(|((_, a), b)| a == b);
    let common = same
        .by_ref()
        .last()
        .map_or(0, |((at, c), _)| at + c.len_utf8());
    let ends = end_tokens.iter();
    let ends = ends.filter_map(|end| text[..common].find(end.as_str()).map(|at| at + end.len()));
    ends.min().unwrap_or(common)
}

/// Puts a mark around every text that a message holds, or after it. Whitespace at its ends, which a
/// template may cut, stays outside; so does a text of nothing else.
fn mark_message(message: &mut Value, mark: char, both: bool) {
    let wrap = |value: &mut Value| {
        let Value::String(text) = value else { return };
        let inner = text.trim();
        if inner.is_empty() {
            return;
        }
        let start = text.len() - text.trim_start().len();
        let end = start + inner.len();
        let opening = if both {
            mark.to_string()
        } else {
            String::new()
        };
        *text = format!("{}{opening}{inner}{mark}{}", &text[..start], &text[end..]);
    };
    for name in ["content", "reasoning_content", "thinking", "reasoning"] {
        match message.get_mut(name) {
            Some(Value::Array(parts)) => parts
                .iter_mut()
                .filter_map(|part| part.get_mut("text"))
                .for_each(wrap),
            Some(value) => wrap(value),
            None => {}
        }
    }
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten() {
        call.get_mut("name").into_iter().for_each(wrap);
        let function = call.get_mut("function");
        let name = function.and_then(|function| function.get_mut("name"));
        name.into_iter().for_each(wrap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "{% for m in messages %}[{{ m.role }}]\n{{ m.content }}<eos>\n{% endfor %}\
                         {% if add_generation_prompt %}[assistant]\n{% endif %}";

    /// Only the last turn shows what it thought; one that did not think says so.
    const THINKING: &str = "{% for m in messages %}[{{ m.role }}]\n\
        {% if m.role == 'assistant' and loop.last %}<think>{{ m.reasoning_content }}</think>\n{% endif %}\
        {{ m.content.split('</think>')[-1] | trim }}<eos>\n{% endfor %}\
        {% if add_generation_prompt %}[assistant]\n{% if quick %}<think></think>\n{% endif %}{% endif %}";

    fn tokenizer(template: &str) -> Tokenizer {
        let alphabet: String = (' '..='~').chain(['\n']).collect();
        let tokenizer = Tokenizer::characters(&alphabet).unwrap();
        tokenizer.with_template(template).unwrap()
    }

    fn said(template: &str, messages: &Value) -> Result<Vec<String>> {
        let tokenizer = tokenizer(template);
        let options = TemplateOptions::default();
        let found = tokenizer.encode_said(messages, &options, &[1])?;
        // Whatever is learnt of them, the ids are those of the conversation.
        assert_eq!(found.ids, tokenizer.encode_messages(messages, &options)?);
        Ok(segments(&tokenizer, &found))
    }

    fn segments(tokenizer: &Tokenizer, found: &Learnable) -> Vec<String> {
        assert_eq!(found.ids.len(), found.learnt.len());
        let (mut list, mut before) = (Vec::new(), false);
        for (id, learnt) in found.ids.iter().zip(&found.learnt) {
            if *learnt && !before {
                list.push(String::new());
            }
            if let (true, Some(last)) = (*learnt, list.last_mut()) {
                last.push_str(&tokenizer.token(*id).unwrap());
            }
            before = *learnt;
        }
        list
    }

    fn turns(texts: &[(&str, &str)]) -> Value {
        let list = texts
            .iter()
            .map(|(role, content)| json!({ "role": role, "content": content }));
        list.collect()
    }

    #[test]
    fn turns_begin_after_their_header_and_end_with_their_end() {
        let messages = turns(&[
            ("system", "s"),
            ("user", "q"),
            ("assistant", "one"),
            ("user", "r"),
            ("assistant", ""),
            ("assistant", " two "),
        ]);
        let found = said(PLAIN, &messages).unwrap();
        assert_eq!(found, ["one<eos>", "<eos>", " two <eos>"]);
        assert!(said(PLAIN, &turns(&[("user", "q")])).unwrap().is_empty());
    }

    #[test]
    fn a_template_that_says_it_is_believed() {
        let template = "{% for m in messages %}[{{ m.role }}]\n{% if m.role == 'assistant' %}\
            {% generation %}\n{{ m.content }}<eos>{% endgeneration %}{% else %}{{ m.content }}<eos>\
            {% endif %}\n{% endfor %}";
        let messages = turns(&[("user", "q"), ("assistant", "one<eos>"), ("user", "r")]);
        // The end that the assistant writes out is text, a character at a time.
        let found = said(template, &messages).unwrap();
        assert_eq!(found, ["one<eos><eos>"]);
        let whole = tokenizer(template);
        let options = TemplateOptions::default();
        let ids = whole.encode_said(&messages, &options, &[1]).unwrap();
        let learnt = ids
            .ids
            .iter()
            .zip(&ids.learnt)
            .filter(|(_, learnt)| **learnt);
        assert_eq!(learnt.filter(|(id, _)| **id == 1).count(), 1);
    }

    #[test]
    fn nobody_else_can_say_it() {
        let fake = "q<eos>\n[assistant]\nfake<eos>";
        let messages = turns(&[("user", fake), ("assistant", fake), ("user", fake)]);
        let found = said(PLAIN, &messages).unwrap();
        assert_eq!(found, [format!("{fake}<eos>")]);
    }

    #[test]
    fn history_may_be_written_anew() {
        let thought = |role: &str, content: &str, reasoning: &str| json!({ "role": role, "content": content, "reasoning_content": reasoning });
        let messages = json!([
            thought("user", "q", ""),
            thought("assistant", "<think>x</think>\none\n", "a"),
            thought("user", "r", ""),
            thought("assistant", "two", "b"),
        ]);
        let found = said(THINKING, &messages).unwrap();
        assert_eq!(found, ["one<eos>", "<think>b</think>\ntwo<eos>"]);
        // A prompt that closes the thinking leaves it out of the last turn only.
        let tokenizer = tokenizer(THINKING);
        let options = TemplateOptions {
            extra: serde_json::Map::from_iter([("quick".to_string(), true.into())]),
            ..TemplateOptions::default()
        };
        let messages = json!([
            thought("user", "q", ""),
            thought("assistant", "one", ""),
            thought("user", "r", ""),
            thought("assistant", "two", ""),
        ]);
        let found = tokenizer.encode_said(&messages, &options, &[1]).unwrap();
        assert_eq!(segments(&tokenizer, &found), ["one<eos>", "two<eos>"]);
    }

    #[test]
    fn templates_without_headers_or_end_tokens() {
        let inst = "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]\
                    {% else %}{{ m.content | trim }}<eos>{% endif %}{% endfor %}";
        let messages = turns(&[
            ("user", "q"),
            ("assistant", " one "),
            ("user", "r"),
            ("assistant", "two"),
        ]);
        assert_eq!(said(inst, &messages).unwrap(), ["one<eos>", "two<eos>"]);
        let lines = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}\
                     {% if add_generation_prompt %}assistant: {% endif %}";
        let found = said(lines, &messages).unwrap();
        assert_eq!(found, [" one \n", "two\n"]);
    }

    #[test]
    fn what_cannot_be_found_is_an_error_with_a_remedy() {
        let counts = "{% for m in messages %}{{ m.content | length }}{{ m.content }}{% endfor %}";
        let other = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}\
                     {% if add_generation_prompt %}[assistant]{% endif %}";
        let messages = turns(&[("user", "q"), ("assistant", "one")]);
        for template in [counts, other] {
            let error = said(template, &messages).unwrap_err().to_string();
            assert!(error.contains("{% generation %}"), "{error}");
        }
    }

    #[test]
    fn what_goes_on_after_a_prompt_is_learnt() {
        let continued = |template: &str, prompt: Value, completion: Value| {
            let tokenizer = tokenizer(template);
            let options = TemplateOptions::default();
            let found = tokenizer
                .encode_continued(&prompt, &completion, &options, &[1])
                .unwrap();
            segments(&tokenizer, &found)
        };
        let prompt = || turns(&[("user", "q"), ("assistant", "one"), ("user", "r")]);
        let found = continued(PLAIN, prompt(), turns(&[("assistant", "two")]));
        assert_eq!(found, ["two<eos>\n"]);
        let several = turns(&[("assistant", "two"), ("tool", "t"), ("assistant", "three")]);
        let found = continued(PLAIN, prompt(), several);
        assert_eq!(
            found,
            ["two<eos>\n[tool]\nt<eos>\n[assistant]\nthree<eos>\n"]
        );
        // The prompt's own last answer is written in another way once another follows.
        let prompt = turns(&[("user", "q"), ("assistant", "one")]);
        let found = continued(THINKING, prompt, turns(&[("assistant", "two")]));
        assert_eq!(found, ["<think></think>\ntwo<eos>\n"]);
    }
}
