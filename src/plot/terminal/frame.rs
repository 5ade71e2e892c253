//! Axes, ticks, names and legend around what is drawn.

use super::super::text::{centre, fit, right, width};
use super::{Plot, Screen, paint};

/// A legend of more lines than this is cut.
const MOST_LEGEND: usize = 5;

/// What is drawn, and what stands around it.
pub struct Frame {
    /// Lines of the drawing, each `width` columns wide.
    pub body: Vec<String>,
    pub width: usize,
    /// Texts at rows of the drawing; one at the row behind the last stands at the axis itself.
    pub y_ticks: Vec<(usize, String)>,
    /// Texts at columns of the drawing.
    pub x_ticks: Vec<(usize, String)>,
    pub x: String,
    pub y: String,
}

/// Columns left for a drawing beside texts at its left, with the axis.
pub fn room<'a>(screen: &Screen, texts: impl Iterator<Item = &'a str>) -> usize {
    screen.columns - gutter(screen.columns, texts) - 2
}

fn gutter<'a>(columns: usize, texts: impl Iterator<Item = &'a str>) -> usize {
    let widest = texts.map(width).max().unwrap_or(0);
    widest.clamp(4, columns / 3)
}

impl Frame {
    /// The lines of the whole plot; `legend` is put below, as many to a line as fit.
    pub fn lines(self, plot: &Plot, screen: &Screen, legend: Vec<String>) -> Vec<String> {
        let texts = self.y_ticks.iter().map(|(_, text)| text.as_str());
        let gutter = gutter(screen.columns, texts);
        let indent = " ".repeat(gutter + 2);
        let mut lines = Vec::new();
        if !plot.title.is_empty() {
            lines.push(self.beside(&plot.title, &indent, screen.columns));
        }
        if !self.y.is_empty() {
            let name = fit(&self.y, screen.columns);
            lines.push(right(&name, (gutter + 1).max(width(&name))));
        }
        for (row, line) in self.body.iter().enumerate() {
            let (text, axis) = match self.y_ticks.iter().find(|(at, _)| *at == row) {
                Some((_, text)) => (text.as_str(), '┤'),
                None => ("", '│'),
            };
            lines.push(format!("{} {axis}{line}", right(text, gutter)));
        }
        lines.extend(self.foot(gutter, &indent));
        if !self.x.is_empty() {
            lines.push(self.beside(&self.x, &indent, screen.columns));
        }
        lines.extend(wrapped(legend, &indent, screen.columns));
        lines
    }

    /// Words in the middle of the drawing, or from its left where they are wider.
    fn beside(&self, words: &str, indent: &str, columns: usize) -> String {
        match width(words) <= self.width {
            true => format!("{indent}{}", centre(words, self.width)),
            false => format!("{indent}{}", fit(words, columns - indent.len())),
        }
    }

    /// The horizontal axis with its ticks and texts.
    fn foot(&self, gutter: usize, indent: &str) -> Vec<String> {
        let (mut axis, mut texts) = (vec!['─'; self.width], String::new());
        for (column, text) in &self.x_ticks {
            let text = fit(text, self.width);
            let start = column.saturating_sub(width(&text) / 2);
            let start = start.min(self.width - width(&text));
            let used = width(&texts);
            if used > 0 && start < used + 1 {
                continue;
            }
            texts.push_str(&" ".repeat(start - used));
            texts.push_str(&text);
            axis[(*column).min(self.width - 1)] = '┬';
        }
        let corner = self.y_ticks.iter().find(|(at, _)| *at == self.body.len());
        let (text, corner) = match corner {
            Some((_, text)) => (text.as_str(), '┼'),
            None => ("", '└'),
        };
        let axis: String = axis.into_iter().collect();
        let mut lines = vec![format!("{} {corner}{axis}", right(text, gutter))];
        if !texts.is_empty() {
            lines.push(format!("{indent}{texts}"));
        }
        lines
    }
}

/// Entries of a legend, as many to a line as fit.
fn wrapped(entries: Vec<String>, indent: &str, columns: usize) -> Vec<String> {
    let room = columns - indent.len();
    let mut lines: Vec<String> = Vec::new();
    let count = entries.len();
    for (i, entry) in entries.into_iter().enumerate() {
        let entry_width = visible_width(&entry);
        let is_full = lines.len() == MOST_LEGEND;
        match lines.last_mut() {
            Some(line) if visible_width(line) + 3 + entry_width <= columns => {
                line.push_str("   ");
                line.push_str(&entry);
            }
            _ if is_full => {
                lines.push(format!(
                    "{indent}{}",
                    fit(&format!("… and {} more", count - i), room)
                ));
                break;
            }
            // What would be too wide begins further left.
            _ => {
                let indent = indent.len().min(columns.saturating_sub(entry_width));
                lines.push(format!("{}{entry}", " ".repeat(indent)));
            }
        }
    }
    lines
}

/// The columns of a text whose colours take none.
fn visible_width(text: &str) -> usize {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().map_or(0, width);
    let rest = parts.filter_map(|part| part.split_once('m'));
    first + rest.map(|(_, text)| width(text)).sum::<usize>()
}

/// An entry of a legend: a mark, and a name that fits into the room.
pub fn entry(mark: &str, name: &str, room: usize, colour: Option<u8>) -> String {
    format!(
        "{} {}",
        paint::coloured(mark, colour),
        fit(name, room.saturating_sub(width(mark) + 1))
    )
}
