//! A page of SVG, filled element by element.

use super::super::text::{fit, width};
use std::fmt::Write;

pub const WIDTH: f64 = 640.0;
pub const HEIGHT: f64 = 360.0;
/// The size of most texts, and of titles.
const TEXT: f64 = 12.0;
const TITLE: f64 = 15.0;

/// Where a text stands against its place.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// The elements so far.
pub struct Page {
    height: f64,
    body: String,
}

/// How wide a text of the common size is, for a sans-serif that runs wide.
pub fn text_width(text: &str) -> f64 {
    width(text) as f64 * TEXT * 0.6
}

/// A text cut to a width.
pub fn fit_width(text: &str, room: f64) -> String {
    fit(text, (room / (TEXT * 0.6)).max(0.0) as usize)
}

impl Page {
    /// An empty page.
    pub fn new(height: f64) -> Self {
        Self {
            height,
            body: String::new(),
        }
    }

    /// Adds an element, written out.
    pub fn add(&mut self, element: std::fmt::Arguments) {
        // A text is written into memory, which cannot fail.
        let _ = writeln!(self.body, "{element}");
    }

    /// Adds a text.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let text = escape(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\"{anchor}>{text}</text>"
        ));
    }

    /// Adds a text that runs upwards.
    pub fn text_upwards(&mut self, x: f64, y: f64, text: &str) {
        let text = escape(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" \
             transform=\"rotate(-90 {x:.1} {y:.1})\">{text}</text>"
        ));
    }

    /// Adds the title above everything else.
    pub fn title(&mut self, title: &str) {
        let title = escape(&fit(title, (WIDTH / (TITLE * 0.6)) as usize));
        let middle = WIDTH / 2.0;
        self.add(format_args!(
            "<text x=\"{middle}\" y=\"22\" text-anchor=\"middle\" font-size=\"{TITLE}\">{title}</text>"
        ));
    }

    /// Adds a filled rectangle.
    pub fn rectangle(&mut self, [x, y, width, height]: [f64; 4], fill: &str) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"{fill}\"/>"
        ));
    }

    /// Adds a thin line from one place to another.
    pub fn rule(&mut self, [x1, y1, x2, y2]: [f64; 4], stroke: &str) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" \
             stroke=\"{stroke}\"/>"
        ));
    }

    /// The document, with a description for readers that do not see.
    pub fn finish(self, description: &str) -> String {
        let Self { height, body } = self;
        let description = escape(description);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" font-family=\"sans-serif\" \
             font-size=\"{TEXT}\">\n<title>{description}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }
}

/// A text as XML can hold it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            // XML has no way to write these.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
