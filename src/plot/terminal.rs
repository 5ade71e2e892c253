//! Plots in braille characters: two by four dots in each.

use super::Plot;
use super::scale::{Scale, short};

const GUTTER: usize = 8;

impl Plot {
    /// The plot in `columns` by `rows` characters, axes and title besides.
    pub fn to_text(&self, columns: usize, rows: usize) -> String {
        let width = columns.saturating_sub(GUTTER + 2).max(10);
        let rows = rows.max(4);
        let (x_scale, y_scale) = Scale::of(self);
        let mut canvas = Canvas::new(width, rows);
        for series in &self.series {
            let mut last = None;
            for (x, y) in &series.points {
                if !(x.is_finite() && y.is_finite()) {
                    last = None;
                    continue;
                }
                let at = (
                    x_scale.place(*x) * (2 * width - 1) as f64,
                    (1.0 - y_scale.place(*y)) * (4 * rows - 1) as f64,
                );
                canvas.line(last.unwrap_or(at), at);
                last = Some(at);
            }
        }
        let mut text = String::new();
        if !self.title.is_empty() {
            text.push_str(&format!("{:GUTTER$}  {}\n", "", self.title));
        }
        for (row, line) in canvas.lines().enumerate() {
            let at = 1.0 - row as f64 / (rows - 1) as f64;
            let value = y_scale.low + at * (y_scale.high - y_scale.low);
            let label = if row % 3 == 0 || row + 1 == rows {
                short(value)
            } else {
                String::new()
            };
            text.push_str(&format!("{label:>GUTTER$} │{line}\n"));
        }
        text.push_str(&format!("{:GUTTER$} └{}\n", "", "─".repeat(width)));
        let (low, high) = (short(x_scale.low), short(x_scale.high));
        let gap = width.saturating_sub(low.len() + high.len());
        let middle = format!("{:^gap$}", self.x);
        text.push_str(&format!("{:GUTTER$}  {low}{middle}{high}", ""));
        if self.series.len() > 1 {
            let names: Vec<&str> = self.series.iter().map(|s| s.name.as_str()).collect();
            text.push_str(&format!("\n{:GUTTER$}  {}", "", names.join(", ")));
        }
        text
    }
}

/// A field of dots, eight to a character.
struct Canvas {
    width: usize,
    cells: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, rows: usize) -> Self {
        Self {
            width,
            cells: vec![0; width * rows],
        }
    }

    fn dot(&mut self, x: usize, y: usize) {
        /// Bits of the dots of a braille character, by column and row.
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        if let Some(cell) = self.cells.get_mut(y / 4 * self.width + x / 2) {
            *cell |= BITS[x % 2][y % 4];
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps = dx.abs().max(dy.abs()).ceil().max(1.0) as usize;
        for i in 0..=steps {
            let t = i as f64 / steps as f64;
            let (x, y) = (from.0 + t * dx, from.1 + t * dy);
            self.dot(x.round() as usize, y.round() as usize);
        }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.cells.chunks(self.width).map(|row| {
            let dots = row
                .iter()
                .map(|bits| char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' '));
            dots.collect::<String>().replace('\u{2800}', " ")
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::plot::{Plot, Series};

    #[test]
    fn a_rising_line_goes_from_corner_to_corner() {
        let points = (0..50)
            .map(|i| (f64::from(i), f64::from(i) / 49.0))
            .collect();
        let text = Plot::line(vec![Series::named("y", points)])
            .titled("up")
            .labelled("step", "y")
            .to_text(40, 6);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 9);
        assert!(lines.iter().all(|line| line.chars().count() <= 40));
        assert!(lines[1].starts_with("       1 │") && !lines[1].ends_with('│'));
        let bottom = lines[6].split('│').nth(1).unwrap();
        assert!(!bottom.starts_with(' '), "{bottom}");
    }

    #[test]
    fn nothing_and_not_a_number_are_drawn_as_empty() {
        let empty = Plot::default().to_text(40, 5);
        assert!(empty.contains('└'));
        let nan = Plot::line(vec![Series::named("y", vec![(0.0, f64::NAN), (1.0, 2.0)])]);
        assert!(nan.to_text(40, 5).lines().count() > 5);
        assert!(nan.to_svg().contains("<polyline"));
    }
}
