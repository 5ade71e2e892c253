//! Bars that lie, one a line: names stay readable however many there are.

use super::super::scale::short;
use super::super::text::{centre, fit, right, width};
use super::{Plot, Screen, paint};
use crate::plot::Bar;

/// More bars than this are counted, not drawn.
const MOST: usize = 60;
/// What is left of a cell, in eighths, for bars to the right.
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// How wide each part of a line is.
struct Columns {
    names: usize,
    left: usize,
    right: usize,
    values: usize,
    /// The value that fills one column.
    unit: f64,
}

impl Columns {
    fn of(plot: &Plot, bars: &[Bar], screen: &Screen) -> Self {
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let names = widest(&mut bars.iter().map(|bar| width(&bar.name))).max(width(&plot.x));
        let names = names.clamp(4, screen.columns / 3);
        let values = widest(&mut bars.iter().map(|bar| short(bar.value).len()));
        let room = screen.columns - names - values - 4;
        let finite = || bars.iter().map(|bar| bar.value).filter(|v| v.is_finite());
        let (low, high) = (finite().fold(0.0, f64::min), finite().fold(0.0, f64::max));
        // Quarters, so that the range of the largest numbers does not overflow.
        let size = high / 4.0 - low / 4.0;
        let part = if size > 0.0 { -low / 4.0 / size } else { 0.0 };
        let left = (part * room as f64).round() as usize;
        let left = left.clamp(usize::from(low < 0.0), room - usize::from(high > 0.0));
        let per = |value: f64, columns: usize| value / columns.max(1) as f64;
        Self {
            names,
            left,
            right: room - left,
            values,
            unit: per(high, room - left).max(per(-low, left)),
        }
    }

    /// The bar of a value, with the axis.
    fn bar(&self, value: f64) -> (String, String) {
        let long = |room: usize| match value.is_finite() && self.unit > 0.0 {
            true => (value.abs() / self.unit).min(room as f64),
            false if value.is_infinite() => room as f64,
            false => 0.0,
        };
        if value < 0.0 {
            // There are no blocks for the right eighths of a cell, so these bars go by halves.
            let halves = ((long(self.left) * 2.0).round() as usize).max(1);
            let text = format!(
                "{}{}",
                if halves % 2 == 1 { "▐" } else { "" },
                "█".repeat(halves / 2)
            );
            return (right(&text, self.left), " ".repeat(self.right));
        }
        let least = usize::from(value > 0.0);
        let eighths = ((long(self.right) * 8.0).round() as usize).max(least);
        let mut text = "█".repeat(eighths / 8);
        text.extend((eighths % 8 > 0).then_some(EIGHTHS[eighths % 8]));
        let behind = " ".repeat(self.right.saturating_sub(width(&text)));
        (" ".repeat(self.left), format!("{text}{behind}"))
    }
}

pub fn draw(plot: &Plot, bars: &[Bar], screen: &Screen) -> Vec<String> {
    let shown = &bars[..bars.len().min(MOST)];
    let columns = Columns::of(plot, shown, screen);
    let room = columns.left + columns.right + 1;
    let indent = " ".repeat(columns.names + 1);
    let mut lines = Vec::new();
    if !plot.title.is_empty() {
        lines.push(format!("{indent}{}", centre(&plot.title, room)));
    }
    if !plot.x.is_empty() {
        lines.push(right(&plot.x, columns.names));
    }
    for bar in shown {
        let (left, right_side) = columns.bar(bar.value);
        lines.push(format!(
            "{} {}│{} {}",
            right(&bar.name, columns.names),
            paint::coloured(&left, paint::curve(1, screen.colour)),
            paint::coloured(&right_side, paint::curve(0, screen.colour)),
            right(&short(bar.value), columns.values)
        ));
    }
    if bars.is_empty() {
        lines.push(format!("{indent}│ no values"));
    }
    if shown.len() < bars.len() {
        let more = format!("… and {} more", bars.len() - shown.len());
        lines.push(format!("{indent}{}", fit(&more, room)));
    }
    if !plot.y.is_empty() {
        lines.push(format!("{indent}{}", centre(&plot.y, room)));
    }
    lines
}
