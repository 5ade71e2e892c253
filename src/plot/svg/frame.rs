//! The frame around curves and bins: axes with round numbers, names, legend.

use super::super::scale::Scale;
use super::page::{Anchor, HEIGHT, Page, WIDTH, fit_width, text_width};
use super::{COLOURS, Plot};

const RIGHT: f64 = WIDTH - 20.0;
const BOTTOM: f64 = HEIGHT - 48.0;
const LEGEND_LINE: f64 = 18.0;
/// A legend of more lines than this is cut.
const MOST_LEGEND: usize = 4;

/// Where the drawing is on the page, and of what range.
pub struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x: Scale,
    pub y: Scale,
}

impl Frame {
    /// Begins a page: the frame with its axes, and all the words.
    pub fn begin(plot: &Plot, x: Scale, y: Scale, legend: &[&str]) -> (Page, Self) {
        let ticks = y.ticks(6);
        let widest = ticks.iter().map(|(_, text)| text_width(text));
        let widest = widest.fold(0.0, f64::max).clamp(24.0, 140.0);
        let mut page = Page::new(HEIGHT);
        page.title(&plot.title);
        let top = if plot.title.is_empty() { 14.0 } else { 36.0 };
        let left = widest + if plot.y.is_empty() { 16.0 } else { 36.0 };
        let top = top + names(&mut page, legend, left, top);
        let frame = Self {
            left,
            right: RIGHT,
            top,
            bottom: BOTTOM,
            x,
            y,
        };
        frame.axes(&mut page, &ticks);
        let (middle, height) = ((left + RIGHT) / 2.0, BOTTOM - top);
        page.text(
            middle,
            HEIGHT - 10.0,
            Anchor::Middle,
            &fit_width(&plot.x, RIGHT - left),
        );
        page.text_upwards(16.0, top + height / 2.0, &fit_width(&plot.y, height));
        (page, frame)
    }

    fn axes(&self, page: &mut Page, y_ticks: &[(f64, String)]) {
        for (value, text) in y_ticks {
            let at = self.down(*value);
            page.rule([self.left, at, self.right, at], "#ddd");
            page.text(self.left - 6.0, at + 4.0, Anchor::End, text);
        }
        let mut free = 0.0;
        for (value, text) in self.x.ticks(8) {
            let (at, half) = (self.across(value), text_width(&text) / 2.0);
            let at_text = at.min(WIDTH - half - 2.0);
            if at_text - half < free {
                continue;
            }
            free = at_text + half + 6.0;
            page.rule([at, self.bottom, at, self.bottom + 4.0], "#888");
            page.text(at_text, self.bottom + 18.0, Anchor::Middle, &text);
        }
        page.rule([self.left, self.bottom, self.right, self.bottom], "#888");
    }

    /// The place of a value of the horizontal axis.
    pub fn across(&self, value: f64) -> f64 {
        self.left + self.x.place(value) * (self.right - self.left)
    }

    /// The place of a value of the vertical axis.
    pub fn down(&self, value: f64) -> f64 {
        self.bottom - self.y.place(value) * (self.bottom - self.top)
    }
}

/// Writes the legend, as many names to a line as fit, and answers its height.
fn names(page: &mut Page, legend: &[&str], left: f64, top: f64) -> f64 {
    let (mut x, mut line) = (left, 0);
    for (i, name) in legend.iter().enumerate() {
        let name = fit_width(name, RIGHT - left - 30.0);
        let size = 26.0 + text_width(&name) + 14.0;
        if x > left && x + size > RIGHT + 14.0 {
            (x, line) = (left, line + 1);
        }
        let y = top + 6.0 + line as f64 * LEGEND_LINE;
        if line == MOST_LEGEND {
            let rest = format!("… and {} more", legend.len() - i);
            page.text(left, y + 4.0, Anchor::Start, &rest);
            break;
        }
        page.add(format_args!(
            "<path d=\"M{x:.1},{y:.1}h20\" {}/>",
            stroke(i)
        ));
        page.text(x + 26.0, y + 4.0, Anchor::Start, &name);
        x += size;
    }
    match legend.is_empty() {
        true => 0.0,
        false => (line + 1) as f64 * LEGEND_LINE + 4.0,
    }
}

/// The look of a curve: a colour, and dashes where the colours begin anew.
pub fn stroke(i: usize) -> String {
    let dashes = match i / COLOURS.len() % 3 {
        0 => "",
        1 => " stroke-dasharray=\"8 4\"",
        _ => " stroke-dasharray=\"2 4\"",
    };
    let colour = COLOURS[i % COLOURS.len()];
    format!(
        "fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linecap=\"round\" \
         stroke-linejoin=\"round\"{dashes}"
    )
}
