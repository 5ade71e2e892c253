//! What templates render, and what they refuse.

mod errors;
mod hostile;
mod transformers;

use super::*;
use serde_json::json;

fn template(source: &str) -> Result<ChatTemplate> {
    ChatTemplate::new(source, Map::new())
}

/// The text of a template for one message of a user.
fn rendered(source: &str) -> Result<String> {
    let messages = json!([{"role": "user", "content": "Hi"}]);
    template(source)?.render(&messages, &TemplateOptions::default())
}

fn error(source: &str) -> String {
    match rendered(source) {
        Ok(text) => panic!("no error: {text:?}"),
        Err(e) => e.to_string(),
    }
}
