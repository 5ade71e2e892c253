//! Pictures of numbers: curves, histograms, heat maps and bars, in a terminal, as SVG and as PNG.

mod grid;
mod histogram;
mod palette;
mod png;
mod scale;
mod series;
mod sparkline;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;
mod text;

pub use grid::Grid;
pub use histogram::Histogram;
pub use series::Series;
pub use sparkline::{bars, sparkline};
pub use terminal::Screen;
pub use text::fit;

/// A picture: what it shows, and the words around it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    pub kind: Kind,
    pub title: String,
    /// What the horizontal axis measures; of bars, what they stand for.
    pub x: String,
    /// What the vertical axis measures; of bars, what their length means.
    pub y: String,
}

/// What a plot shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Curves in one frame.
    Lines(Vec<Series>),
    /// How often values fall into each bin.
    Histogram(Histogram),
    /// A matrix by shades, row 0 on top.
    HeatMap(Grid),
    /// A value for each name.
    Bars(Vec<Bar>),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Lines(Vec::new())
    }
}

/// One value with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub name: String,
    pub value: f64,
}

impl Bar {
    /// A value with its name.
    pub fn named(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            value,
        }
    }
}

impl From<Kind> for Plot {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }
}

impl Plot {
    /// Curves in one frame.
    pub fn line(series: Vec<Series>) -> Self {
        Kind::Lines(series).into()
    }

    /// How often values fall into each of `bins` bins, or of as many as the data ask for.
    ///
    /// What is not finite is in no bin, but counted and said.
    pub fn histogram(values: &[f64], bins: Option<usize>) -> Self {
        Kind::Histogram(Histogram::of(values, bins)).into()
    }

    /// A matrix by shades, row 0 on top.
    pub fn heat_map(grid: Grid) -> Self {
        Kind::HeatMap(grid).into()
    }

    /// A bar for each value, in the order given.
    pub fn bars(bars: Vec<Bar>) -> Self {
        Kind::Bars(bars).into()
    }

    /// With a title.
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// With names for the axes.
    pub fn labelled(mut self, x: impl Into<String>, y: impl Into<String>) -> Self {
        (self.x, self.y) = (x.into(), y.into());
        self
    }

    /// With every curve averaged over `width` points. Other kinds have no order to average along.
    pub fn smooth(mut self, width: usize) -> Self {
        if let Kind::Lines(series) = &mut self.kind {
            for one in series.iter_mut().filter(|_| width > 1) {
                *one = one.smoothed(width);
            }
        }
        self
    }

    /// What it is in a few words, for whoever cannot see it.
    pub fn description(&self) -> String {
        let kind = match &self.kind {
            Kind::Lines(series) => {
                let names = series.iter().map(|s| s.name.as_str());
                let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
                match names.is_empty() {
                    true => "Line plot".to_string(),
                    false => format!("Line plot of {}", names.join(", ")),
                }
            }
            Kind::Histogram(histogram) => format!("Histogram of {} values", histogram.total()),
            Kind::HeatMap(grid) => format!("Heat map of {} by {} cells", grid.rows, grid.columns),
            Kind::Bars(bars) => format!("Bar chart of {} values", bars.len()),
        };
        match self.title.is_empty() {
            true => kind,
            false => format!("{} ({kind})", self.title),
        }
    }
}
