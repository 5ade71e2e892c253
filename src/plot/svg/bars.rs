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
/// The most room for names.
const NAMES: f64 = 200.0;

/// Where bars are on the page.
struct Layout {
    x: Scale,
    /// Where names end.
    names: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    /// What each bar takes of the height.
    step: f64,
}

impl Layout {
    fn of(plot: &Plot, bars: &[Bar]) -> Self {
        let title = if plot.title.is_empty() { 14.0 } else { 36.0 };
        let top = title + if plot.x.is_empty() { 0.0 } else { 18.0 };
        let count = bars.len().max(1) as f64;
        let step = ((HEIGHT - top - 48.0) / count).clamp(LEAST_STEP, MOST_STEP);
        let finite = bars.iter().map(|bar| bar.value).filter(|v| v.is_finite());
        let names = bars.iter().map(|bar| text_width(&bar.name));
        let names = names.fold(0.0, f64::max).clamp(20.0, NAMES) + 16.0;
        // A value stands at the end of its bar, so there is room for it on that side.
        let beside = |negative: bool| {
            let side = bars.iter().filter(|bar| (bar.value < 0.0) == negative);
            let widths = side.map(|bar| text_width(&short(bar.value)) + 8.0);
            widths.fold(0.0, f64::max)
        };
        Self {
            x: Scale::around(finite.chain([0.0])),
            names,
            left: names + 8.0 + beside(true),
            right: WIDTH - 16.0 - beside(false),
            top,
            bottom: top + step * count,
            step,
        }
    }

    fn across(&self, value: f64) -> f64 {
        self.left + self.x.place(value) * (self.right - self.left)
    }
}

pub fn draw(plot: &Plot, bars: &[Bar]) -> Page {
    let shown = &bars[..bars.len().min(MOST)];
    let layout = Layout::of(plot, shown);
    let Layout {
        left,
        right,
        top,
        bottom,
        ..
    } = layout;
    let mut page = Page::new(bottom + 48.0);
    page.title(&plot.title);
    axis(&mut page, &layout);
    page.text(
        layout.names,
        top - 6.0,
        Anchor::End,
        &fit_width(&plot.x, NAMES),
    );
    let (middle, below) = ((left + right) / 2.0, bottom + 38.0);
    page.text(
        middle,
        below,
        Anchor::Middle,
        &fit_width(&plot.y, right - left),
    );
    for (i, one) in shown.iter().enumerate() {
        bar(&mut page, &layout, one, top + layout.step * i as f64);
    }
    if shown.len() < bars.len() {
        let more = format!("… and {} more", bars.len() - shown.len());
        page.text(WIDTH - 8.0, below, Anchor::End, &more);
    }
    let zero = layout.across(0.0);
    page.rule([zero, top, zero, bottom], "#888");
    page
}

/// A bar with its name at the left and its value at its end.
fn bar(page: &mut Page, layout: &Layout, bar: &Bar, y: f64) {
    let line = y + layout.step / 2.0 + 4.0;
    page.text(
        layout.names,
        line,
        Anchor::End,
        &fit_width(&bar.name, NAMES),
    );
    let zero = layout.across(0.0);
    let end = if bar.value.is_nan() {
        zero
    } else {
        layout.across(bar.value)
    };
    let (from, to) = (end.min(zero), end.max(zero));
    let fill = COLOURS[usize::from(bar.value < 0.0)];
    page.rectangle(
        [from, y + layout.step * 0.15, to - from, layout.step * 0.7],
        fill,
    );
    let (at, anchor) = match bar.value < 0.0 {
        true => (from - 5.0, Anchor::End),
        false => (to + 5.0, Anchor::Start),
    };
    page.text(at, line, anchor, &short(bar.value));
}

fn axis(page: &mut Page, layout: &Layout) {
    let mut free = 0.0;
    for (value, text) in layout.x.ticks(6) {
        let (at, half) = (layout.across(value), text_width(&text) / 2.0);
        page.rule([at, layout.top, at, layout.bottom], "#ddd");
        let at = at.min(WIDTH - half - 4.0);
        if at - half >= free {
            page.text(at, layout.bottom + 18.0, Anchor::Middle, &text);
            free = at + half + 6.0;
        }
    }
}
