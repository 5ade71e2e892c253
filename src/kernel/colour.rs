//! Errors in the colours of a terminal, which notebooks show too. The text stays as it is.

const RED: &str = "\x1b[31m";
const BOLD_RED: &str = "\x1b[1;31m";
const BLUE: &str = "\x1b[34m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// The lines of a rendered error, coloured.
pub fn coloured(rendered: &str) -> Vec<String> {
    rendered
        .lines()
        .enumerate()
        .map(|(i, line)| colour(i, line))
        .collect()
}

fn colour(number: usize, line: &str) -> String {
    let paint = |colour: &str, text: &str| format!("{colour}{text}{PLAIN}");
    let indent = line.len() - line.trim_start().len();
    let (space, text) = line.split_at(indent);
    if let Some(rest) = text.strip_prefix("error:") {
        return format!("{space}{}{rest}", paint(BOLD_RED, "error:"));
    }
    if number == 0 && text == "interrupted" {
        return paint(BOLD_RED, text);
    }
    if text.starts_with("--> ") || text.starts_with("called by ") {
        return format!("{space}{}", paint(BLUE, text));
    }
    if let Some(rest) = text.strip_prefix("hint:") {
        return format!("{space}{}{rest}", paint(CYAN, "hint:"));
    }
    // The mark under the source: a bar, spaces, and `^`.
    match text.strip_prefix('|') {
        Some(mark) if mark.trim() == "^" => {
            let before = &mark[..mark.len() - 1];
            format!("{space}|{before}{}", paint(RED, "^"))
        }
        _ => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_stays_as_it_is() {
        let rendered =
            "error: no `x`\n  --> cell[1]:1:3\n  |\n1 | 1+x\n  |   ^\n  called by a\n  hint: y";
        let lines = coloured(rendered);
        assert_eq!(lines[0], "\x1b[1;31merror:\x1b[0m no `x`");
        assert_eq!(lines[4], "  |   \x1b[31m^\x1b[0m");
        let mut plain = lines.join("\n");
        for colour in [RED, BOLD_RED, BLUE, CYAN, PLAIN] {
            plain = plain.replace(colour, "");
        }
        assert_eq!(plain, rendered);
    }
}
