//! Words around a picture, measured in columns of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text without line ends and other control characters, cut with `…` to at most `room` columns.
pub fn fit(text: &str, room: usize) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    // Of a very long text no more is looked at than could ever be seen.
    let most = 4 * room + 16;
    let mut cut: String = text.chars().take(most).map(visible).collect();
    if width(&cut) <= room && text.chars().nth(most).is_none() {
        return cut;
    }
    let mut used = 0;
    let end = cut.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used + 1 > room
    });
    cut.truncate(end.map_or(cut.len(), |(at, _)| at));
    // Some characters are wider together than apart.
    while !cut.is_empty() && width(&cut) + 1 > room {
        cut.pop();
    }
    if room > 0 {
        cut.push('…');
    }
    cut
}

/// A text that ends at the right of `room` columns.
pub fn right(text: &str, room: usize) -> String {
    let text = fit(text, room);
    format!("{}{text}", " ".repeat(room.saturating_sub(width(&text))))
}

/// A text in the middle of `room` columns, with nothing behind it.
pub fn centre(text: &str, room: usize) -> String {
    let text = fit(text, room);
    let before = room.saturating_sub(width(&text)) / 2;
    format!("{}{text}", " ".repeat(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_columns_not_by_bytes() {
        assert_eq!(fit("reward", 6), "reward");
        assert_eq!(fit("reward", 4), "rew…");
        assert_eq!(fit("奖励函数", 5), "奖励…");
        assert_eq!(fit("a\u{1b}[0m\nb", 9), "a [0m b");
        assert_eq!(
            (fit("reward", 1), fit("reward", 0)),
            ("…".into(), String::new())
        );
        assert_eq!(right("ab", 4), "  ab");
        assert_eq!(centre("ab", 6), "  ab");
    }
}
