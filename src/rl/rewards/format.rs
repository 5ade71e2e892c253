//! Whether an output has the form that was asked for.

use crate::rl::{RewardOutput, Score};

/// 1 where a completion begins with its only `<think>`, which is closed, else 0: TRL's
/// `think_format_reward`. Where the prompt ends with the opening tag, as some templates do, the
/// completion is what follows it.
pub fn think_format(output: &RewardOutput) -> Score {
    let raw = output.completion.raw_text.as_str();
    let is_opened = output.prompt.trim_end().ends_with("<think>");
    let inside = if is_opened {
        Some(raw)
    } else {
        raw.strip_prefix("<think>")
    };
    let is_right =
        inside.is_some_and(|rest| !rest.contains("<think>") && rest.contains("</think>"));
    Score::Value(f64::from(u8::from(is_right)))
}

/// The part of the elements that stand in the raw text, each once, closed, in order, and apart from
/// each other; `strict` asks besides that nothing but white space stands around and between them.
///
/// 1 where all do, else 0.
pub fn xml_format(output: &RewardOutput, tags: &[String], strict: bool) -> Score {
    let raw = output.completion.raw_text.as_str();
    let (mut rest, mut is_right) = (raw, true);
    for tag in tags {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let Some((before, inside)) = rest.split_once(&open) else {
            return Score::Value(0.0);
        };
        let Some((content, after)) = inside.split_once(&close) else {
            return Score::Value(0.0);
        };
        let once = |part: &str| raw.matches(part).count() == 1;
        is_right &= once(&open)
            && once(&close)
            && !tags.iter().any(|t| content.contains(&format!("<{t}>")));
        is_right &= !strict || before.trim().is_empty();
        rest = after;
    }
    is_right &= !strict || rest.trim().is_empty();
    Score::Value(f64::from(u8::from(is_right)))
}

/// `each` for every tag that has exactly one pair, less `penalty` for each character after the last
/// end tag of the last of them, white space at either end apart.
pub fn xml_count(output: &RewardOutput, tags: &[String], each: f64, penalty: f64) -> Score {
    let raw = output.completion.raw_text.as_str();
    let mut sum = 0.0;
    for tag in tags {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        if raw.matches(&open).count() == 1 && raw.matches(&close).count() == 1 {
            sum += each;
        }
    }
    if let Some(last) = tags.last()
        && let Some((_, after)) = raw.rsplit_once(&format!("</{last}>"))
    {
        sum -= penalty * after.trim().chars().count() as f64;
    }
    Score::Value(sum)
}
