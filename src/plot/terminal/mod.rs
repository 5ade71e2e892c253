//! Plots as text: curves in braille, the rest in blocks and shades.

mod bars;
mod braille;
mod frame;
mod heat_map;
mod histogram;
mod lines;
mod paint;

use super::{Kind, Plot};

/// The room that a plot has in a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// No line is wider; fewer than 40 are taken as 40.
    pub columns: usize,
    /// The height inside the axes; title, axes and legend come on top. Bars take a line each.
    pub rows: usize,
    /// Whether escape sequences may colour it. Without, curves are told apart by marks and cells
    /// by shades.
    pub colour: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            columns: 80,
            rows: 14,
            colour: false,
        }
    }
}

impl Screen {
    /// With bounds that every kind can draw in.
    fn bounded(&self) -> Self {
        Self {
            columns: self.columns.clamp(40, 1000),
            rows: self.rows.clamp(4, 500),
            colour: self.colour,
        }
    }
}

impl Plot {
    /// The plot as lines of text, without a line end after the last.
    pub fn to_text(&self, screen: &Screen) -> String {
        let screen = screen.bounded();
        let lines = match &self.kind {
            Kind::Lines(series) => lines::draw(self, series, &screen),
            Kind::Histogram(histogram) => histogram::draw(self, histogram, &screen),
            Kind::HeatMap(grid) => heat_map::draw(self, grid, &screen),
            Kind::Bars(bars) => bars::draw(self, bars, &screen),
        };
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        lines.join("\n")
    }
}
