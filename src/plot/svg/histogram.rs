//! Histograms.

use super::super::scale::Scale;
use super::frame::Frame;
use super::page::{Anchor, HEIGHT, Page};
use super::{COLOURS, Plot};
use crate::plot::Histogram;

/// More bins than this would be narrower than two pixels.
const MOST_BINS: usize = 250;

pub fn draw(plot: &Plot, histogram: &Histogram) -> Page {
    let histogram = histogram.merged(MOST_BINS);
    let x = Scale {
        low: histogram.low,
        high: histogram.high,
    };
    let y = Scale {
        low: 0.0,
        high: histogram.most().max(1) as f64 * 1.05,
    };
    let mut plot = plot.clone();
    if plot.y.is_empty() {
        plot.y = "count".into();
    }
    let (mut page, frame) = Frame::begin(&plot, x, y, &[]);
    let each = (frame.right - frame.left) / histogram.counts.len() as f64;
    // A thin gap tells bins apart, where there is room for one.
    let gap = if each > 4.0 { 1.0 } else { 0.0 };
    for (bin, count) in histogram
        .counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
    {
        let left = frame.left + bin as f64 * each;
        // What is not empty can be seen.
        let top = frame.down(*count as f64).min(frame.bottom - 1.0);
        page.rectangle([left, top, each - gap, frame.bottom - top], COLOURS[0]);
    }
    page.text(
        frame.right,
        HEIGHT - 10.0,
        Anchor::End,
        &histogram.summary(),
    );
    page
}
