//! Whether an output says what its row expects.

use crate::rl::{RewardOutput, Score};
use crate::text::{extract_number, xml_tag};
use serde_json::Value;

/// The row's answer as text.
fn expected(output: &RewardOutput) -> Option<String> {
    match output.example.answer()? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// What is looked at: the completion's text, or what stands in its last element of a name.
pub(super) fn said(output: &RewardOutput, tag: Option<&str>) -> Option<String> {
    match tag {
        None => Some(output.completion.text.clone()),
        Some(tag) => xml_tag(&output.completion.text, tag),
    }
}

fn bit(is_right: bool) -> Score {
    Score::Value(f64::from(u8::from(is_right)))
}

/// 1 where the text is the answer, white space at both ends apart, else 0; a row without an answer
/// cannot be scored.
pub fn exact_match(output: &RewardOutput, tag: Option<&str>, ignore_case: bool) -> Score {
    let Some(expected) = expected(output) else {
        return Score::Unscorable;
    };
    let Some(said) = said(output, tag) else {
        return bit(false);
    };
    bit(match ignore_case {
        true => said.trim().to_lowercase() == expected.trim().to_lowercase(),
        false => said.trim() == expected.trim(),
    })
}

/// 1 where the answer stands somewhere in the text, else 0; a row without an answer cannot be scored.
pub fn contains_answer(output: &RewardOutput, tag: Option<&str>) -> Score {
    let Some(expected) = expected(output) else {
        return Score::Unscorable;
    };
    let said = said(output, tag);
    bit(said.is_some_and(|said| said.contains(expected.trim())))
}

/// 1 where the number of the text is that of the answer to within `tolerance` times the larger of 1
/// and the answer, else 0; a row whose answer has no number cannot be scored.
pub fn numeric_match(output: &RewardOutput, tag: Option<&str>, tolerance: f64) -> Score {
    let Some(expected) = expected(output).and_then(|text| extract_number(&text)) else {
        return Score::Unscorable;
    };
    let found = said(output, tag).and_then(|text| extract_number(&text));
    let near = |found: f64| (found - expected).abs() <= tolerance * expected.abs().max(1.0);
    bit(found.is_some_and(near))
}

/// The bounds of [`cosine_length`], under TRL's names.
#[derive(Clone, Copy, Debug)]
pub struct CosineLength {
    /// In tokens; longer completions are as this long.
    pub max_len: f64,
    pub min_value_wrong: f64,
    pub max_value_wrong: f64,
    pub min_value_correct: f64,
    pub max_value_correct: f64,
}

/// A right answer is worth the more the shorter it is, a wrong one the less
/// (<https://arxiv.org/abs/2502.03373>, appendix C.1): along a cosine from the value of no tokens to
/// that of `max_len`.
pub fn cosine_length(output: &RewardOutput, bounds: &CosineLength, is_right: Score) -> Score {
    let Score::Value(right) = is_right else {
        return Score::Unscorable;
    };
    let (least, most) = match right > 0.0 {
        true => (bounds.min_value_correct, bounds.max_value_correct),
        false => (bounds.max_value_wrong, bounds.min_value_wrong),
    };
    let length = output.completion.token_ids.len() as f64;
    let progress = (length / bounds.max_len).min(1.0);
    let cosine = (progress * std::f64::consts::PI).cos();
    Score::Value(least + 0.5 * (most - least) * (1.0 + cosine))
}
