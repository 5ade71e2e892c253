//! Whether an output calls a tool as it should.

use super::Schema;
use crate::rl::{RewardOutput, Score};
use crate::text::{CallStatus, ToolCall};

/// How a call is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallForm {
    /// Either will do.
    #[default]
    Any,
    /// `{"name": .., "arguments": ..}`, as Qwen is trained to.
    Json,
    /// `<name>..</name><arguments>..</arguments>`.
    Xml,
}

/// What is asked of calls.
#[derive(Debug, Default)]
pub struct ToolUse {
    /// The tools there are, with the schema of their arguments where there is one; none is any.
    pub tools: Vec<(String, Option<Schema>)>,
    pub form: CallForm,
    /// Without a call a completion is worth 0; otherwise 0.5.
    pub required: bool,
}

/// The mean over the calls of an output: 0.25 for a call that cannot be read, 0.5 for one of a tool
/// that there is not, 0.75 for arguments that are not those of the tool's schema, and 1.
pub fn tool_use(output: &RewardOutput, wanted: &ToolUse) -> Score {
    let calls = &output.completion.tool_calls;
    if calls.is_empty() {
        return Score::Value(if wanted.required { 0.0 } else { 0.5 });
    }
    let sum: f64 = calls.iter().map(|call| worth(call, wanted)).sum();
    Score::Value(sum / calls.len() as f64)
}

fn worth(call: &ToolCall, wanted: &ToolUse) -> f64 {
    let content = call.raw.trim_start();
    let content = content.strip_prefix("<tool_call>").unwrap_or(content);
    let is_xml = content.trim_start().starts_with('<');
    let has_form = match wanted.form {
        CallForm::Any => true,
        CallForm::Json => !is_xml,
        CallForm::Xml => is_xml,
    };
    if call.status != CallStatus::Ok || !has_form {
        return 0.25;
    }
    if wanted.tools.is_empty() {
        return 1.0;
    }
    let Some((_, schema)) = wanted.tools.iter().find(|(name, _)| *name == call.name) else {
        return 0.5;
    };
    match schema {
        Some(schema) if !schema.allows(&call.arguments) => 0.75,
        _ => 1.0,
    }
}
