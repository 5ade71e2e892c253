//! `rl::rewards::`: rewards to build from, and the type of one that is not asked yet.

use super::bind::{Binder, Call};
use super::convert::to_json;
use crate::error::{Error, Result};
use crate::rl::rewards::{self, CallForm, CosineLength, Length, Schema, ToolUse};
use crate::rl::{Reward, RewardOutput, Score};
use rhai::{Array as List, Dynamic, Engine, Module};
use serde_json::Value;
use std::rc::Rc;

/// A native reward with its settings: for a trainer, or to be called by `.score(outputs)`.
#[derive(Clone)]
pub struct NativeReward {
    name: String,
    judge: Rc<dyn Fn(&RewardOutput) -> Score>,
}

impl Reward for NativeReward {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        Ok(outputs.iter().map(|output| (self.judge)(output)).collect())
    }
}

/// Registers the type.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<NativeReward>("RewardFunction");
    let show = |r: &mut NativeReward| format!("RewardFunction {}", r.name);
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

/// Scores of the outputs of a call, or the reward itself where it has none.
fn answer(
    c: &Call,
    name: &str,
    judge: impl Fn(&RewardOutput) -> Score + 'static,
) -> Result<Dynamic> {
    if !c.has(0) {
        return Ok(Dynamic::from(NativeReward {
            name: name.to_string(),
            judge: Rc::new(judge),
        }));
    }
    let wrong = || c.wrong(0, "a list of outputs, as a reward is given");
    let list = c.get(0).read_lock::<List>().ok_or_else(wrong)?;
    let scores: Result<List> = list
        .iter()
        .map(|item| {
            let output = item.read_lock::<RewardOutput>().ok_or_else(wrong)?;
            Ok(match judge(&output) {
                Score::Value(value) => value.into(),
                _ => Dynamic::UNIT,
            })
        })
        .collect();
    Ok(scores?.into())
}

fn optional_text(c: &Call, i: usize) -> Result<Option<String>> {
    c.has(i).then(|| c.text(i)).transpose()
}

fn strings(c: &Call, i: usize) -> Result<Vec<String>> {
    let wrong = || c.wrong(i, "a list of strings");
    let list = c.get(i).read_lock::<List>().ok_or_else(wrong)?;
    let each = list
        .iter()
        .map(|item| item.clone().into_string().map_err(|_| wrong()));
    each.collect()
}

fn size(c: &Call, i: usize) -> Result<usize> {
    Ok(c.count(i)? as usize)
}

/// A tool by its name, or its definition as chat templates take it.
fn tool(c: &Call, item: &Dynamic) -> Result<(String, Option<Schema>)> {
    let wrong = || {
        c.wrong(
            1,
            "a list of names, or of definitions such as #{ name, parameters }",
        )
    };
    if item.is_string() {
        return Ok((item.to_string(), None));
    }
    let definition = match to_json(item)? {
        Value::Object(mut fields) => fields.remove("function").unwrap_or(Value::Object(fields)),
        _ => return Err(wrong()),
    };
    let name = definition["name"].as_str().ok_or_else(wrong)?.to_string();
    let schema = definition.get("parameters").map(Schema::new).transpose()?;
    Ok((name, schema))
}

fn tools(c: &Call) -> Result<ToolUse> {
    let mut wanted = ToolUse {
        required: c.flag(3)?,
        form: match c.choice(2, &["any", "json", "xml"])?.as_str() {
            "json" => CallForm::Json,
            "xml" => CallForm::Xml,
            _ => CallForm::Any,
        },
        ..ToolUse::default()
    };
    if let Some(list) = c.get(1).read_lock::<List>() {
        wanted.tools = list
            .iter()
            .map(|item| tool(c, item))
            .collect::<Result<_>>()?;
    }
    Ok(wanted)
}

/// Outputs for the examples: what a model without training writes.
const OUTPUTS: &str =
    "let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer(\"0123456789+=\") });
    let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 3 });
    let outputs = trainer.rollout([#{ prompt: \"1+2=\", answer: \"3\" }]);\n";

/// The functions.
pub fn bindings() -> Module {
    let mut b = Binder::new();
    answers(&mut b);
    forms(&mut b);
    lengths(&mut b);
    b.module
}

fn answers(b: &mut Binder) {
    let example = |text: &str| format!("{OUTPUTS}{text}");
    b.function(
        "exact_match(outputs: list = (), tag: string = (), ignore_case: bool = false) -> list or RewardFunction",
        "1 where the completion's text is the row's answer, white space at both ends apart, else 0. \
         With `tag`, what stands in the last element of that name is compared. Rows without an answer \
         are not scored. Without outputs it is a reward for a trainer, like every function here.",
        &example("assert(rl::rewards::exact_match(outputs).all(|score| score == 0.0 || score == 1.0));"),
        |c| {
            let (tag, ignore_case) = (optional_text(c, 1)?, c.flag(2)?);
            answer(c, "exact_match", move |o| rewards::exact_match(o, tag.as_deref(), ignore_case))
        },
    );
    b.function(
        "contains_answer(outputs: list = (), tag: string = ()) -> list or RewardFunction",
        "1 where the row's answer stands somewhere in the completion's text, or in its last element \
         `tag`, else 0. Rows without an answer are not scored.",
        &example("assert_eq(rl::rewards::contains_answer(outputs).len(), 2);"),
        |c| {
            let tag = optional_text(c, 1)?;
            answer(c, "contains_answer", move |o| rewards::contains_answer(o, tag.as_deref()))
        },
    );
    b.function(
        "numeric_match(outputs: list = (), tag: string = (), tolerance: float = 1e-6) -> list or RewardFunction",
        "1 where the number of the completion's text, as `text::extract_number` finds it, is that of \
         the row's answer, else 0; to within `tolerance` times the larger of 1 and the answer. Rows \
         whose answer has no number are not scored.",
        &example("assert(rl::rewards::numeric_match(outputs).all(|score| score == 0.0 || score == 1.0));"),
        |c| {
            let (tag, tolerance) = (optional_text(c, 1)?, c.float(2)?);
            answer(c, "numeric_match", move |o| rewards::numeric_match(o, tag.as_deref(), tolerance))
        },
    );
    b.function(
        "cosine_length(outputs: list = (), max_len: integer = 1024, min_value_wrong: float = -1.0, \
         max_value_wrong: float = -0.5, min_value_correct: float = 0.5, max_value_correct: float = 1.0, \
         tag: string = (), tolerance: float = 1e-6) -> list or RewardFunction",
        "A right answer, by `numeric_match` or for answers without a number by `exact_match`, is worth \
         `max_value_correct` when it is short and `min_value_correct` from `max_len` tokens on; a wrong \
         one from `min_value_wrong` to `max_value_wrong`. TRL's `get_cosine_scaled_reward`.",
        &example("let scores = rl::rewards::cosine_length(outputs, #{ max_len: 8 });
                  assert(scores.all(|score| score >= -1.0 && score <= 1.0));"),
        |c| {
            let max_len = size(c, 1)?.max(1) as f64;
            let bounds = CosineLength {
                max_len,
                min_value_wrong: c.float(2)?,
                max_value_wrong: c.float(3)?,
                min_value_correct: c.float(4)?,
                max_value_correct: c.float(5)?,
            };
            let (tag, tolerance) = (optional_text(c, 6)?, c.float(7)?);
            answer(c, "cosine_length", move |o| {
                let by_number = rewards::numeric_match(o, tag.as_deref(), tolerance);
                let is_right = match by_number {
                    Score::Unscorable => rewards::exact_match(o, tag.as_deref(), false),
                    known => known,
                };
                rewards::cosine_length(o, &bounds, is_right)
            })
        },
    );
}

fn forms(b: &mut Binder) {
    let example = |text: &str| format!("{OUTPUTS}{text}");
    b.function(
        "think_format(outputs: list = ()) -> list or RewardFunction",
        "1 where the raw text begins with its only `<think>` and closes it, else 0; the opening tag may \
         be the end of the prompt. TRL's `think_format_reward`.",
        &example("assert_eq(rl::rewards::think_format(outputs), [0.0, 0.0]);"),
        |c| answer(c, "think_format", rewards::think_format),
    );
    b.function(
        "xml_format(outputs: list = (), tags: list = (), strict: bool = false) -> list or RewardFunction",
        "1 where the elements `tags` (`[\"reasoning\", \"answer\"]`) stand in the raw text, each once and \
         in order, else 0. With `strict`, nothing but white space may stand around and between them.",
        &example("assert_eq(rl::rewards::xml_format(outputs, [\"answer\"]), [0.0, 0.0]);"),
        |c| {
            let (tags, strict) = (tags(c)?, c.flag(2)?);
            answer(c, "xml_format", move |o| rewards::xml_format(o, &tags, strict))
        },
    );
    b.function(
        "xml_count(outputs: list = (), tags: list = (), each: float = 0.25, penalty: float = 0.001) \
         -> list or RewardFunction",
        "`each` for every one of `tags` (`[\"reasoning\", \"answer\"]`) that has exactly one pair of tags, \
         less `penalty` for each character behind the last end tag: from below 0 to 0.5.",
        &example("assert_eq(rl::rewards::xml_count(outputs), [0.0, 0.0]);"),
        |c| {
            let (tags, each, penalty) = (tags(c)?, c.float(2)?, c.float(3)?);
            answer(c, "xml_count", move |o| rewards::xml_count(o, &tags, each, penalty))
        },
    );
    b.function(
        "json_schema(outputs: list = (), schema: map = #{}, tag: string = (), parsed: float = 0.2) \
         -> list or RewardFunction",
        "1 for JSON that a JSON schema allows, `parsed` for other JSON, 0 for none. It is looked for in \
         the last code block of the completion's text, or in all of it; with `tag`, in the last element \
         of that name.",
        &example("let number = #{ schema: #{ \"type\": \"number\" } };
                  let by_schema = rl::rewards::json_schema(outputs, number);
                  assert(by_schema.all(|score| score == 0.0 || score == 1.0));"),
        |c| {
            let schema = Schema::new(&to_json(c.get(1))?)?;
            let (tag, parsed) = (optional_text(c, 2)?, c.float(3)?);
            answer(c, "json_schema", move |o| rewards::json_schema(o, &schema, tag.as_deref(), parsed))
        },
    );
    b.function(
        "tool_use(outputs: list = (), tools: list = (), form: string = \"any\", required: bool = true) \
         -> list or RewardFunction",
        "The mean over the tool calls of a completion: 0.25 for a call that cannot be read or is not of \
         the `form` (`\"json\"` as Qwen writes them, `\"xml\"`, `\"any\"`), 0.5 for a tool that is not \
         among `tools` (names, or definitions as chat templates take them), 0.75 for arguments that are \
         not those of its definition, else 1. Without a call it is 0, or 0.5 if none is `required`.",
        &example("assert_eq(rl::rewards::tool_use(outputs, #{ tools: [\"search\"] }), [0.0, 0.0]);"),
        |c| {
            let wanted = tools(c)?;
            answer(c, "tool_use", move |o| rewards::tool_use(o, &wanted))
        },
    );
}

fn tags(c: &Call) -> Result<Vec<String>> {
    let tags = match c.has(1) {
        true => strings(c, 1)?,
        false => vec!["reasoning".into(), "answer".into()],
    };
    match tags.is_empty() {
        true => Err(Error::setting("tags", "[]", "at least one name")),
        false => Ok(tags),
    }
}

fn lengths(b: &mut Binder) {
    let example = |text: &str| format!("{OUTPUTS}{text}");
    b.function(
        "length(outputs: list = (), max: integer = 256, min: integer = 1, margin: integer = 0, \
         characters: bool = false) -> list or RewardFunction",
        "1 for completions of `min` to `max` tokens (with `characters`, characters of the text), falling \
         in a straight line to 0 at `margin` outside of that.",
        &example("assert_eq(rl::rewards::length(outputs, #{ max: 3 }), [1.0, 1.0]);"),
        |c| {
            let bounds = Length {
                max: size(c, 1)?,
                min: size(c, 2)?,
                margin: size(c, 3)?,
                characters: c.flag(4)?,
            };
            bounds.check()?;
            answer(c, "length", move |o| rewards::length(o, &bounds))
        },
    );
    b.function(
        "repetition(outputs: list = (), ngram_size: integer = 3, max_penalty: float = -1.0) \
         -> list or RewardFunction",
        "`max_penalty` times the share of n-grams of tokens that came before in the completion: 0 where \
         nothing is repeated. TRL's `get_repetition_penalty_reward`.",
        &example("assert_eq(rl::rewards::repetition(outputs, #{ ngram_size: 3 }), [0.0, 0.0]);"),
        |c| {
            let (ngram_size, penalty) = (size(c, 1)?, c.float(2)?);
            if ngram_size == 0 {
                return Err(c.wrong(1, "at least 1 token"));
            }
            answer(c, "repetition", move |o| rewards::repetition(o, ngram_size, penalty))
        },
    );
    b.function(
        "soft_overlong(outputs: list = (), max_completion_length: integer = 256, soft_punish_cache: integer = 32) \
         -> list or RewardFunction",
        "0 up to `soft_punish_cache` tokens before the longest completion, then falling in a straight \
         line to -1 at it. TRL's `get_soft_overlong_punishment`.",
        &example("let bounds = #{ max_completion_length: 6, soft_punish_cache: 4 };
                  let lengths = outputs.map(|o| o.completion.num_tokens);
                  assert_eq(rl::rewards::soft_overlong(outputs, bounds), lengths.map(|n| if n > 2 { -(n - 2) / 4.0 } else { 0.0 }));"),
        |c| {
            let (longest, cache) = (size(c, 1)?, size(c, 2)?);
            if cache > longest {
                return Err(c.wrong(2, "at most max_completion_length"));
            }
            answer(c, "soft_overlong", move |o| {
                let length = o.completion.token_ids.len();
                Score::Value(rewards::soft_overlong(length, longest, cache))
            })
        },
    );
}
