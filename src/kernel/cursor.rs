//! Places in a cell: the protocol counts characters, Rust counts bytes.

/// The byte at which a character stands; the end for those beyond.
pub fn byte_of(text: &str, character: usize) -> usize {
    let found = text.char_indices().nth(character);
    found.map_or(text.len(), |(byte, _)| byte)
}

/// How many characters stand before a byte.
pub fn character_of(text: &str, byte: usize) -> usize {
    text[..byte].chars().count()
}

/// The name at a byte, with what it is a part of: `mx::softmax`, `trainer.metrics`.
pub fn name_at(text: &str, byte: usize) -> &str {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let is_path = |c: char| is_word(c) || matches!(c, ':' | '.');
    let start = text[..byte].trim_end_matches(is_path).len();
    let rest = &text[byte..];
    let end = byte + rest.len() - rest.trim_start_matches(is_word).len();
    let name = text[start..end].trim_matches([':', '.']);
    match name {
        // Behind an opening bracket, the function that is called is meant.
        "" => match text[..byte].trim_end_matches([' ', '(']) {
            before if before.len() < byte && !before.is_empty() => name_at(before, before.len()),
            _ => "",
        },
        name => name,
    }
}

/// The spaces that a line after this text should begin with.
pub fn indent(text: &str) -> String {
    let last = text
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let width = last.len() - last.trim_start().len();
    let opens = last.trim_end().ends_with(['{', '[', '(']);
    " ".repeat(width + if opens { 4 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_bytes() {
        let text = "let é = 1; é.a";
        assert_eq!(byte_of(text, 5), 6);
        assert_eq!(character_of(text, 6), 5);
        assert_eq!(byte_of(text, 99), text.len());
    }

    #[test]
    fn the_name_under_the_cursor() {
        let text = "let y = mx::softmax(x, 1)";
        for byte in 8..=19 {
            let name = name_at(text, byte);
            assert!(
                name == "mx::softmax" || (byte < 12 && name == "mx"),
                "{byte}: {name}"
            );
        }
        assert_eq!(name_at(text, 20), "x");
        assert_eq!(name_at("softmax(", 8), "softmax");
        assert_eq!(name_at("t.metrics", 9), "t.metrics");
        assert_eq!(name_at("f(1).sum", 8), "sum");
        assert_eq!(name_at("", 0), "");
        assert_eq!(name_at("((", 2), "");
    }

    #[test]
    fn a_block_is_indented() {
        assert_eq!(indent("if x {"), "    ");
        assert_eq!(indent("    1 +"), "    ");
        assert_eq!(indent("    foo("), "        ");
        assert_eq!(indent("1 +"), "");
    }
}
