//! Curves: a value, and how it looks in a terminal and as SVG.

mod scale;
mod sparkline;
mod svg;
mod terminal;

pub use sparkline::sparkline;

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// A curve through points.
    pub fn named(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
        }
    }

    /// The mean of each `width` points, centred; ends use what there is.
    fn smoothed(&self, width: usize) -> Self {
        let half = width / 2;
        let y: Vec<f64> = self.points.iter().map(|(_, y)| *y).collect();
        let mean = |i: usize| {
            let window = &y[i.saturating_sub(half)..(i + half + 1).min(y.len())];
            window.iter().sum::<f64>() / window.len() as f64
        };
        let points = self.points.iter().enumerate();
        Self {
            name: self.name.clone(),
            points: points.map(|(i, (x, _))| (*x, mean(i))).collect(),
        }
    }
}

/// A picture of one or several curves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    pub series: Vec<Series>,
    pub title: String,
    pub x: String,
    pub y: String,
}

impl Plot {
    /// Curves in one frame.
    pub fn line(series: Vec<Series>) -> Self {
        Self {
            series,
            ..Self::default()
        }
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

    /// With every curve averaged over `width` points.
    pub fn smooth(mut self, width: usize) -> Self {
        if width > 1 {
            self.series = self.series.iter().map(|s| s.smoothed(width)).collect();
        }
        self
    }

    /// Every point that can be drawn.
    fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.series
            .iter()
            .flat_map(|series| &series.points)
            .filter(|(x, y)| x.is_finite() && y.is_finite())
    }
}
