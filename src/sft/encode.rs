//! From rows to what is learnt of them.
//!
//! A row is a `text`, a `prompt` with its `completion` (or `answer`), or a conversation of `messages`,
//! as in TRL. Each id is a target or not; no row gains or loses one.

use super::settings::{SftSettings, Truncation};
use crate::data::{Dataset, Row};
use crate::error::{Error, Result};
use crate::text::{LanguageModel, Learnable, TemplateOptions};
use crate::train::Document;
use serde_json::{Value, json};

/// The documents of a dataset.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    pub documents: Vec<Document>,
    /// Rows of which nothing was left to learn after `max_length` tokens.
    pub dropped: usize,
}

/// All rows as documents, so that a bad one is found before anything is trained.
///
/// # Errors
/// No rows, and the first row that cannot be learnt from, by its number.
pub fn encode(model: &LanguageModel, dataset: &Dataset, settings: &SftSettings) -> Result<Encoded> {
    if dataset.rows().is_empty() {
        return Err(Error::value("dataset", "no rows", "at least one row"));
    }
    let mut encoded = Encoded::default();
    for (i, row) in dataset.rows().iter().enumerate() {
        let document = encode_row(model, row, settings).and_then(|mut document| {
            let kept = fit(&mut document, settings)?;
            Ok(kept.then_some(document))
        });
        match document.map_err(|e| Error::row(i, e))? {
            Some(document) => encoded.documents.push(document),
            None => encoded.dropped += 1,
        }
    }
    if encoded.documents.is_empty() {
        let found = format!("{} tokens", settings.max_length);
        let expected = "enough to reach what is to be learnt in at least one row";
        return Err(Error::setting("max_length", found, expected));
    }
    Ok(encoded)
}

/// One row as a document, of whatever length.
///
/// # Errors
/// A row in none of the forms, one without a token to learn, ids that the model does not know.
pub fn encode_row(model: &LanguageModel, row: &Row, settings: &SftSettings) -> Result<Document> {
    let learnable = learnable(model, row, settings)?;
    model.network.check_ids(&learnable.ids)?;
    let document = Document::new(learnable.ids, learnable.learnt);
    match document.num_learnt() {
        0 => Err(nothing(row, settings)),
        _ => Ok(document),
    }
}

fn learnable(model: &LanguageModel, row: &Row, settings: &SftSettings) -> Result<Learnable> {
    let tokenizer = model.tokenizer()?;
    let ends = &model.eos_token_ids;
    let options = options(row)?;
    let mut found = match form(row) {
        Form::Text(text) => {
            let ids = ended(tokenizer.encode(text)?, ends);
            Learnable {
                learnt: vec![true; ids.len()],
                ids,
            }
        }
        Form::Completion(Value::Array(prompt)) => {
            let completion = answer(row)?;
            tokenizer.encode_continued(&json!(prompt), &completion, &options, ends)?
        }
        Form::Completion(_) => {
            let prompt = model.encode_prompt(row.prompt()?)?;
            let completion = ended(tokenizer.encode(&row.completion()?)?, ends);
            let document = Document::continued(&prompt, &completion);
            Learnable {
                ids: document.ids,
                learnt: document.learnt,
            }
        }
        Form::Messages(messages) if settings.assistant_only_loss => {
            tokenizer.encode_said(messages, &options, ends)?
        }
        Form::Messages(messages) => {
            let ids = tokenizer.encode_messages(messages, &options)?;
            Learnable {
                learnt: vec![true; ids.len()],
                ids,
            }
        }
        Form::None => return Err(no_form(row)),
    };
    if !settings.completion_only_loss && matches!(form(row), Form::Completion(_)) {
        found.learnt.fill(true);
    }
    Ok(found)
}

enum Form<'a> {
    Text(&'a str),
    /// A prompt, and something after it.
    Completion(&'a Value),
    Messages(&'a Value),
    None,
}

fn form(row: &Row) -> Form<'_> {
    let field = |name: &str| row.fields.get(name);
    if let Some(prompt) = field("prompt") {
        return Form::Completion(prompt);
    }
    if let Some(messages) = field("messages") {
        let last = messages.as_array().and_then(|list| list.last());
        let ends_with_answer = last.is_some_and(|message| message["role"] == "assistant");
        let goes_on =
            field("completion").is_some() || (field("answer").is_some() && !ends_with_answer);
        return match goes_on {
            true => Form::Completion(messages),
            false => Form::Messages(messages),
        };
    }
    match field("text").and_then(Value::as_str) {
        Some(text) => Form::Text(text),
        None => Form::None,
    }
}

/// What comes after a prompt of messages: messages, or the text of an assistant's one.
fn answer(row: &Row) -> Result<Value> {
    match row.fields.get("completion") {
        Some(messages @ Value::Array(_)) => Ok(messages.clone()),
        _ => Ok(json!([{ "role": "assistant", "content": row.completion()? }])),
    }
}

/// What the template is told of a row, as in TRL.
fn options(row: &Row) -> Result<TemplateOptions> {
    let extra = match row.fields.get("chat_template_kwargs") {
        None | Some(Value::Null) => Default::default(),
        Some(Value::Object(map)) => map.clone(),
        Some(other) => return Err(Error::value("chat_template_kwargs", other, "a map")),
    };
    Ok(TemplateOptions {
        tools: row.fields.get("tools").cloned(),
        add_generation_prompt: false,
        extra,
    })
}

/// Ids with an end token, unless they have one.
fn ended(mut ids: Vec<i32>, ends: &[i32]) -> Vec<i32> {
    if !ids.last().is_some_and(|last| ends.contains(last)) {
        ids.extend(ends.first());
    }
    ids
}

/// Whether a document is kept, cut to `max_length` if it may be.
fn fit(document: &mut Document, settings: &SftSettings) -> Result<bool> {
    let (length, most) = (document.ids.len(), settings.max_length);
    if length <= most {
        return Ok(true);
    }
    match settings.truncation {
        Truncation::Error => Err(Error::value(
            "length",
            format!("{length} tokens"),
            &format!("up to max_length = {most}, or truncation: \"keep_start\""),
        )),
        Truncation::KeepStart => {
            document.truncate(most);
            Ok(document.num_learnt() > 0)
        }
    }
}

fn nothing(row: &Row, settings: &SftSettings) -> Error {
    let expected = match form(row) {
        Form::Messages(_) if settings.assistant_only_loss => {
            "at least one message of the assistant, or assistant_only_loss: false"
        }
        Form::Completion(_) => "a completion of at least one token, or a model with an end token",
        _ => "at least two tokens; the first is predicted by nothing",
    };
    Error::value("what is to be learnt", "no token", expected)
}

fn no_form(row: &Row) -> Error {
    let names: Vec<&str> = row.fields.keys().map(String::as_str).collect();
    Error::value(
        "fields",
        names.join(", "),
        "a `text`, a `prompt` with a `completion` or `answer`, or `messages`",
    )
}
