//! Bars that lie, so that names are read without turning the head.

use super::super::scale::{Scale, short};
use super::page::{Anchor, HEIGHT, Page, WIDTH, fit_width, text_width};
use super::{COLOURS, Plot};
use crate::plot::Bar;

/// More bars than this are counted, not drawn.
const MOST: usize = 200;
/// What a bar takes of the page's height, at least and at most.
const LEAST_STEP: f64 = 20.0;
const MOST_STEP: f64 = 48.0;

pub fn draw(plot: &Plot, bars: &[Bar]) -> Page {
    let shown = &bars[..bars.len().min(MOST)];
    let top = if plot.title.is_empty() { 14.0 } else { 36.0 }
        + if plot.x.is_empty() { 0.0 } else { 18.0 };
    let count = shown.len().max(1) as f64;
    let step = ((HEIGHT - top - 48.0) / count).clamp(LEAST_STEP, MOST_STEP);
    let bottom = top + step * count;
    let mut page = Page::new(bottom + 48.0);
    page.title(&plot.title);
    let finite = shown.iter().map(|bar| bar.value).filter(|v| v.is_finite());
    let x = Scale::around(finite.chain([0.0]));
    let widest = |texts: &mut dyn Iterator<Item = f64>| texts.fold(0.0, f64::max);
    let names = widest(&mut shown.iter().map(|bar| text_width(&bar.name)));
    // A value stands at the end of its bar, so there is room for it on that side.
    let beside = |negative: bool| {
        let of = shown.iter().filter(|bar| (bar.value < 0.0) == negative);
        let room = widest(&mut of.map(|bar| text_width(&short(bar.value))));
        if room > 0.0 { room + 8.0 } else { 0.0 }
    };
    let left = 24.0 + names.clamp(20.0, 200.0) + beside(true);
    let right = WIDTH - 16.0 - beside(false);
    let across = |value: f64| left + x.place(value) * (right - left);
    axis(&mut page, &x, across, [left, right, top, bottom]);
    page.text(
        left - beside(true) - 8.0,
        top - 6.0,
        Anchor::End,
        &fit_width(&plot.x, 200.0),
    );
    let below = bottom + 36.0;
    page.text(
        (left + right) / 2.0,
        below,
        Anchor::Middle,
        &fit_width(&plot.y, right - left),
    );
    for (i, bar) in shown.iter().enumerate() {
        let y = top + step * i as f64;
        let name = fit_width(&bar.name, 200.0);
        page.text(
            left - beside(true) - 8.0,
            y + step / 2.0 + 4.0,
            Anchor::End,
            &name,
        );
        let end = if bar.value.is_nan() {
            across(0.0)
        } else {
            across(bar.value)
        };
        let (from, to) = (end.min(across(0.0)), end.max(across(0.0)));
        let fill = COLOURS[usize::from(bar.value < 0.0)];
        page.rectangle([from, y + step * 0.15, to - from, step * 0.7], fill);
        let (at, anchor) = match bar.value < 0.0 {
            true => (from - 5.0, Anchor::End),
            false => (to + 5.0, Anchor::Start),
        };
        page.text(at, y + step / 2.0 + 4.0, anchor, &short(bar.value));
    }
    if shown.len() < bars.len() {
        let more = format!("… and {} more", bars.len() - shown.len());
        page.text(WIDTH - 8.0, below, Anchor::End, &more);
    }
    page.rule([across(0.0), top, across(0.0), bottom], "#888");
    page
}

fn axis(
    page: &mut Page,
    x: &Scale,
    across: impl Fn(f64) -> f64,
    [_, right, top, bottom]: [f64; 4],
) {
    for (value, text) in x.ticks(6) {
        let (at, half) = (across(value), text_width(&text) / 2.0);
        page.rule([at, top, at, bottom], "#ddd");
        let at = at.min(right.max(WIDTH - half - 4.0));
        page.text(at, bottom + 18.0, Anchor::Middle, &text);
    }
}
