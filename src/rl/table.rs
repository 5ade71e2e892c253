//! Completions of a step as a table for people.

use super::sample::Scored;
use super::trainer::GrpoTrainer;
use comfy_table::{ContentArrangement, Table, presets};

/// Columns of a terminal, where nobody says how many.
const WIDTH: u16 = 100;

/// A longer text is cut in the middle: how a completion begins and ends is what tells.
const LONGEST: usize = 300;

impl GrpoTrainer {
    /// Notes a table of some completions, where it is time for one.
    pub(super) fn show_completions(&mut self, scored: &Scored) {
        let count = self.settings.num_completions_to_print;
        if count > 0 && self.step.is_multiple_of(self.settings.logging_steps) {
            self.notes.push(table(self.step, scored, count));
        }
    }
}

fn table(step: u64, scored: &Scored, count: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    // A single part is the reward itself.
    let parts = match scored.scores.parts.as_slice() {
        [_] => &[][..],
        several => several,
    };
    let mut header: Vec<String> = vec!["prompt".into(), "completion".into()];
    header.extend(parts.iter().map(|(name, _)| name.clone()));
    header.extend(["reward".into(), "advantage".into()]);
    table.set_header(header);
    for output in scored.rollout.outputs.iter().take(count) {
        let number = |value: f64| format!("{value:.3}");
        let mut row = vec![short(&output.prompt), short(&output.completion.raw_text)];
        let of_parts = parts.iter().map(|(_, values)| values[output.index]);
        row.extend(of_parts.map(|value| value.map(number).unwrap_or_default()));
        row.push(number(scored.rewards[output.index]));
        row.push(number(scored.advantages[output.index]));
        table.add_row(row);
    }
    format!("completions of step {step}\n{table}")
}

fn short(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= LONGEST {
        return text.to_string();
    }
    let half = LONGEST / 2;
    let first: String = letters[..half].iter().collect();
    let last: String = letters[letters.len() - half..].iter().collect();
    format!("{first} […] {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_keep_their_ends() {
        assert_eq!(short("äöü"), "äöü");
        let long = format!("a{}z", "ß".repeat(500));
        let cut = short(&long);
        assert!(cut.starts_with("aß") && cut.ends_with("ßz") && cut.contains("[…]"));
        assert!(cut.chars().count() < 310);
    }
}
