//! A curve in one line of text.

use super::scale::Scale;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A curve in at most `width` characters, lowest value `▁`, highest `█`, such as `▁▂▄▆█`.
///
/// More values than characters are averaged in blocks. What is not a number is a gap; an infinite
/// value is drawn at its end of the range.
pub fn sparkline(values: &[f64], width: usize) -> String {
    let each = values.len().div_ceil(width.max(1)).max(1);
    let range = Scale::around(values.iter().copied());
    let means: Vec<f64> = values
        .chunks(each)
        .map(|block| {
            let numbers = block.iter().filter(|v| !v.is_nan());
            let count = numbers.clone().count() as f64;
            let sum: f64 = numbers
                .map(|v| v.clamp(range.low, range.high) / count)
                .sum();
            if count == 0.0 { f64::NAN } else { sum }
        })
        .collect();
    let scale = Scale::around(means.iter().copied());
    let level = |mean: f64| match mean.is_nan() {
        true => ' ',
        false => LEVELS[((scale.place(mean) * 8.0) as usize).min(7)],
    };
    means.into_iter().take(width).map(level).collect()
}

/// Counts as bars from 0, such as `▁▂ █`: one character each, and nothing for 0.
pub fn bars(counts: &[usize]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0);
    let bar = |count: &usize| match (count * LEVELS.len()).div_ceil(most.max(1)) {
        0 => ' ',
        level => LEVELS[level - 1],
    };
    counts.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::{bars, sparkline};

    #[test]
    fn bars_begin_at_zero() {
        assert_eq!(bars(&[0, 1, 4, 8]), " ▁▄█");
        assert_eq!(bars(&[3, 3]), "██");
        assert_eq!(bars(&[0, 0]), "  ");
    }

    #[test]
    fn a_line_of_text_rises_and_has_gaps() {
        let rising: Vec<f64> = (0..8).map(f64::from).collect();
        assert_eq!(sparkline(&rising, 8), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&rising, 4), "▁▃▆█");
        assert_eq!(sparkline(&[0.0, f64::NAN, 1.0], 9), "▁ █");
        assert_eq!(sparkline(&[2.0, 2.0], 9), "▅▅");
        let ends = [f64::NEG_INFINITY, 0.0, 1.0, f64::INFINITY];
        assert_eq!(sparkline(&ends, 9), "▁▁██");
        assert_eq!(sparkline(&[], 9), "");
        assert_eq!(sparkline(&[1.0], 0), "");
        assert_eq!(sparkline(&[f64::MAX; 1000], 20).chars().count(), 20);
    }
}
