//! From the raw text of a completion to its parts: the answer, the thinking and the tool calls.

mod scan;
mod tool_call;
mod xml;

#[cfg(test)]
mod tests;

pub use tool_call::{CallStatus, ToolCall};
pub use xml::xml_tag;

use scan::{Kind, Segment};

/// The parts of a completion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// What remains without thinking and tool calls, trimmed.
    pub text: String,
    /// The thinking, each span trimmed, several joined by a blank line; `None` if there is none.
    pub thinking: Option<String>,
    /// The tool calls, the unusable ones included, in the order of the text.
    pub tool_calls: Vec<ToolCall>,
}

/// Takes a completion apart.
///
/// Every text has a reading: what is wrong with a tool call stands in its status. Before a
/// dangling `</think>` (the template opened it) and after an unclosed `<think>` everything is
/// thinking, and a call inside thinking is not a call.
pub fn parse_completion(raw: &str) -> Parsed {
    let segments = scan::segments(raw);
    let of_kind = |kind: Kind| {
        let of_kind = move |segment: &&Segment| segment.kind == kind;
        segments
            .iter()
            .filter(of_kind)
            .map(|s| &raw[s.inner.clone()])
    };
    let thoughts: Vec<&str> = of_kind(Kind::Thought)
        .map(str::trim)
        .filter(|thought| !thought.is_empty())
        .collect();
    Parsed {
        text: of_kind(Kind::Text).collect::<String>().trim().to_string(),
        thinking: (!thoughts.is_empty()).then(|| thoughts.join("\n\n")),
        tool_calls: tool_calls(raw, &segments),
    }
}

/// The calls are numbered within their completion rather than at random: the same seed gives the
/// same completion, identifiers included.
fn tool_calls(raw: &str, segments: &[Segment]) -> Vec<ToolCall> {
    let mut calls: Vec<ToolCall> = segments
        .iter()
        .filter_map(|segment| match segment.kind {
            Kind::Call { closed } => Some(tool_call::read(
                &raw[segment.span.clone()],
                &raw[segment.inner.clone()],
                closed,
            )),
            _ => None,
        })
        .flatten()
        .collect();
    for (index, call) in calls.iter_mut().enumerate() {
        call.id = format!("call_{index}");
    }
    calls
}
