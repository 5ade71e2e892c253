//! Prose in the columns of a terminal.

use crate::script::Screen;
use crate::session::{Failure, coloured};
use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

/// Lines of prose are not wider than this however wide the terminal is.
const WIDEST: usize = 100;
/// A first column of a list that is wider than this is prose.
const WIDEST_NAME: usize = 40;

/// A text whose lines are broken between words, each under its own beginning. Lines that are set in by
/// four columns are code, and stay as they are.
pub fn wrapped(text: &str, columns: usize) -> String {
    let columns = columns.min(WIDEST);
    let lines = text.lines().map(|line| match line.starts_with("    ") {
        true => line.to_string(),
        false => broken(line, columns, hanging(line)),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// An error as a screen shows it.
pub fn error_text(failure: &Failure, screen: &Screen) -> String {
    let text = wrapped_error(&failure.rendered, screen.columns);
    match screen.colour {
        true => coloured(&text),
        false => text,
    }
}

/// An error whose sentences are broken between words; the source line and the place stay as they are.
/// What is no terminal (`usize::MAX` columns) gets each sentence whole, for a log to be searched.
fn wrapped_error(text: &str, columns: usize) -> String {
    if columns == usize::MAX {
        return text.to_string();
    }
    let screen = columns;
    let columns = columns.min(WIDEST);
    let all: Vec<&str> = text.lines().collect();
    let lines = all.iter().enumerate().map(|(i, line)| {
        if let Some(window) = window(&all, i, screen) {
            return window;
        }
        let is_sentence = ["error: ", "  hint: ", "            or "];
        match is_sentence.iter().find(|start| line.starts_with(**start)) {
            Some(start) => broken(line, columns, start.len()),
            None => line.to_string(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A source line that is wider than the screen, or the mark below it, cut around the mark: a terminal that
/// breaks both puts one under the wrong part of the other.
fn window(lines: &[&str], at: usize, columns: usize) -> Option<String> {
    let is_mark = |line: &str| line.trim_start().starts_with('|') && line.ends_with('^');
    let mark = (at..=at + 1).find(|i| lines.get(*i).is_some_and(|line| is_mark(line)))?;
    let source = lines[mark.checked_sub(1)?];
    let bar = lines[mark].find('|')? + 2;
    if source.get(bar - 2..bar) != Some("| ") || display_width(source) <= columns {
        return None;
    }
    let first = lines[mark][bar..].find('^')?;
    let room = columns.saturating_sub(bar + 2).max(20);
    let skipped = first.saturating_sub(room / 2);
    let cut = |line: &str, more: &str| -> String {
        let rest: Vec<char> = line[bar..].chars().skip(skipped).collect();
        let mut shown: String = rest.iter().take(room).collect();
        if rest.len() > room {
            shown.push_str(more);
        }
        let before = match (skipped, more.is_empty()) {
            (0, _) => "",
            (_, true) => " ",
            (_, false) => more,
        };
        format!("{}{before}{shown}", &line[..bar])
    };
    Some(match at == mark {
        true => cut(lines[at], ""),
        false => cut(lines[at], "…"),
    })
}

/// Where the words of a line begin: behind the name of a list's entry, or behind its own indent.
fn hanging(line: &str) -> usize {
    let indent = line.len() - line.trim_start().len();
    let gap = line[indent..].find("  ").map(|at| indent + at);
    match gap.filter(|at| *at < WIDEST_NAME) {
        Some(at) => at + line[at..].len() - line[at..].trim_start().len(),
        None if indent == 0 => 4,
        None => indent,
    }
}

fn broken(line: &str, columns: usize, hanging: usize) -> String {
    // In a terminal too narrow for that, the terminal may break it.
    if display_width(line) <= columns || hanging + 20 > columns {
        return line.to_string();
    }
    let indent = " ".repeat(hanging);
    let options = Options::new(columns)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(line, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_between_words_and_code_is_not() {
        let text = "f(a: Tensor, axis: integer = -1, keepdims: bool = false) -> Tensor\n  name   what it is for, in so many words that they do not fit\n    let code = \"that is longer than the terminal is wide\";";
        assert_eq!(
            wrapped(text, 40),
            "f(a: Tensor, axis: integer = -1,\n    keepdims: bool = false) -> Tensor\n  name   what it is for, in so many\n         words that they do not fit\n    let code = \"that is longer than the terminal is wide\";"
        );
    }

    #[test]
    fn a_mark_stays_under_what_it_marks() {
        let source = format!("1 | f({}).nothing + 1", "x, ".repeat(30));
        let mark = format!(
            "  | {}^^^^^^^",
            " ".repeat(source.find("nothing").unwrap() - 4)
        );
        let text = format!("error: no\n  --> cell[1]:1:90\n  |\n{source}\n{mark}");
        let shown = wrapped_error(&text, 40);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            lines.iter().all(|line| display_width(line) <= 40),
            "{shown}"
        );
        let chars: Vec<char> = lines[3].chars().collect();
        let from = lines[4].chars().position(|c| c == '^').unwrap();
        assert_eq!(
            chars[from..from + 7].iter().collect::<String>(),
            "nothing",
            "{shown}"
        );
        assert_eq!(wrapped_error(&text, 200), text);
    }

    #[test]
    fn the_source_line_of_an_error_stays_whole() {
        let text = "error: a sentence that is too long for one line\n  --> cell[1]:1:1\n  |\n1 | let a_source_line = of_any_length(and_more);\n  hint: another sentence that is too long";
        assert_eq!(
            wrapped_error(text, 40),
            "error: a sentence that is too long for\n       one line\n  --> cell[1]:1:1\n  |\n1 | let a_source_line = of_any_length(and_more);\n  hint: another sentence that is too\n        long"
        );
    }
}
