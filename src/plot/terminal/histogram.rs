//! Histograms as bars that stand on the axis, in eighths of a line.

use super::super::scale::Scale;
use super::frame::{Frame, room};
use super::{Plot, Screen, paint};
use crate::plot::Histogram;

const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub fn draw(plot: &Plot, histogram: &Histogram, screen: &Screen) -> Vec<String> {
    let most = histogram.most().max(1);
    let narrow = room(screen, [most.to_string().as_str()].into_iter());
    let histogram = histogram.merged(narrow);
    let most = histogram.most().max(1);
    let y_ticks = counts(most, screen.rows);
    let width = room(screen, y_ticks.iter().map(|(_, text)| text.as_str()));
    // The same room as before, or a column less for a longer number.
    let histogram = histogram.merged(width);
    let each = width / histogram.counts.len();
    let width = each * histogram.counts.len();
    let heights: Vec<usize> = histogram
        .counts
        .iter()
        .map(|count| height(*count, most, 8 * screen.rows))
        .collect();
    let line = |row: usize| -> String {
        let below = 8 * (screen.rows - 1 - row);
        let block = |height: &usize| EIGHTHS[height.saturating_sub(below).min(8)];
        let blocks = heights.iter().map(block);
        let text: String = blocks
            .flat_map(|block| std::iter::repeat_n(block, each))
            .collect();
        paint::coloured(&text, paint::curve(0, screen.colour))
    };
    let x = Scale {
        low: histogram.low,
        high: histogram.high,
    };
    let column = |value: f64| (x.place(value) * width as f64).round() as usize;
    let x_ticks = x.ticks((width / 6).clamp(4, 10)).into_iter();
    let frame = Frame {
        body: (0..screen.rows).map(line).collect(),
        width,
        y_ticks,
        x_ticks: x_ticks.map(|(value, text)| (column(value), text)).collect(),
        x: plot.x.clone(),
        y: match plot.y.is_empty() {
            true => "count".into(),
            false => plot.y.clone(),
        },
    };
    frame.lines(plot, screen, vec![histogram.summary()])
}

/// The height of a bin in eighths; what is not empty can be seen.
fn height(count: usize, most: usize, full: usize) -> usize {
    let height = (count as f64 / most as f64 * full as f64).round() as usize;
    height.max(usize::from(count > 0))
}

/// Whole numbers at the rows where bars of that height end.
fn counts(most: usize, rows: usize) -> Vec<(usize, String)> {
    let scale = Scale {
        low: 0.0,
        high: most as f64,
    };
    let ticks = scale.ticks((rows / 3).clamp(2, 6)).into_iter();
    let whole = ticks.filter(|(value, _)| value.fract() == 0.0);
    let row = |value: f64| rows - (scale.place(value) * rows as f64).round() as usize;
    whole
        .map(|(value, text)| (row(value), trim(&text)))
        .collect()
}

/// A whole number without the zeros that its neighbours in tenths would have needed.
fn trim(text: &str) -> String {
    text.split('.').next().unwrap_or(text).to_string()
}
