//! Curves: averaged, and with as many points as a picture can show.

use super::scale::Scale;

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

type Point = (f64, f64);

pub fn is_finite(point: &Point) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

impl Series {
    /// A curve through points.
    pub fn named(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
        }
    }

    /// Every point that can be drawn.
    pub fn finite(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| is_finite(point))
    }

    /// The mean of each `width` points, centred; the ends use what there is, and a point that is
    /// not finite stays a gap.
    ///
    /// Sums from the left and from the right inside blocks of `width` points: a window is the end
    /// of one block and the start of the next. So the time does not depend on `width`, and nothing
    /// is subtracted, which would leave the dust of large values behind.
    pub fn smoothed(&self, width: usize) -> Self {
        let n = self.points.len();
        let width = width.clamp(1, 2 * n + 1);
        let before = (width - 1) / 2;
        let padded = (n + width).next_multiple_of(width);
        let largest = self.finite().fold(0.0, |most, p| p.1.abs().max(most));
        // Only sums that would overflow are of parts, since parts are rounded.
        let overflows = !(largest * width as f64).is_finite();
        let part = if overflows { width as f64 } else { 1.0 };
        let at = |i: usize| match i.checked_sub(before).and_then(|i| self.points.get(i)) {
            Some(point) if is_finite(point) => (point.1 / part, 1usize),
            _ => (0.0, 0),
        };
        let add = |a: (f64, usize), b: (f64, usize)| (a.0 + b.0, a.1 + b.1);
        let mut from_left: Vec<(f64, usize)> = (0..padded).map(at).collect();
        let mut from_right = from_left.clone();
        for i in (0..padded).filter(|i| i % width != 0) {
            from_left[i] = add(from_left[i - 1], from_left[i]);
        }
        for i in (0..padded).rev().filter(|i| (i + 1) % width != 0) {
            from_right[i] = add(from_right[i], from_right[i + 1]);
        }
        let mean = |i: usize| {
            let (sum, count) = match i % width {
                0 => from_right[i],
                _ => add(from_right[i], from_left[i + width - 1]),
            };
            sum / count as f64 * part
        };
        let points = self.points.iter().enumerate();
        Self {
            name: self.name.clone(),
            points: points
                .map(|(i, p)| (p.0, if is_finite(p) { mean(i) } else { p.1 }))
                .collect(),
        }
    }

    /// The curve as unbroken pieces, thinned for `pixels` columns: of the points in a column only
    /// the lowest and the highest are kept, so that no peak is lost.
    pub fn pieces(&self, pixels: usize, x: &Scale) -> Vec<Vec<Point>> {
        let mut pieces = vec![Vec::new()];
        let mut last: Option<usize> = None;
        for group in self.groups(pixels, x) {
            let gap = last.is_some_and(|last| {
                let between = &self.points[last..group.0[0]];
                between.iter().any(|point| !is_finite(point))
            });
            if gap {
                pieces.push(Vec::new());
            }
            if let Some(piece) = pieces.last_mut() {
                piece.extend(group.0.iter().map(|i| self.points[*i]));
            }
            last = Some(group.1);
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    /// Indices of the points to keep, by column, each with the index of the column's last point.
    fn groups(&self, pixels: usize, x: &Scale) -> Vec<(Vec<usize>, usize)> {
        let finite = || (0..self.points.len()).filter(|i| is_finite(&self.points[*i]));
        if self.points.len() <= 2 * pixels {
            return finite().map(|i| (vec![i], i)).collect();
        }
        let forward = self.finite().is_sorted_by(|a, b| a.0 <= b.0);
        let column = |i: usize| match forward {
            true => (x.place(self.points[i].0) * pixels as f64) as usize,
            // A curve that turns back has no columns of its own: neighbours share one.
            false => i * pixels / self.points.len(),
        };
        let mut groups: Vec<(usize, Vec<usize>, usize)> = Vec::new();
        for i in finite() {
            match groups.last_mut() {
                Some((at, kept, last)) if *at == column(i) => {
                    self.keep(kept, i, forward);
                    *last = i;
                }
                _ => groups.push((column(i), vec![i], i)),
            }
        }
        groups
            .into_iter()
            .map(|(_, kept, last)| (kept, last))
            .collect()
    }

    /// Keeps of a column's points the lowest and highest, and of a curve that turns back the
    /// outermost on both sides as well.
    fn keep(&self, kept: &mut Vec<usize>, i: usize, forward: bool) {
        kept.push(i);
        let points = &self.points;
        let lowest = |of: fn(&Point) -> f64| {
            let least = kept
                .iter()
                .min_by(|a, b| of(&points[**a]).total_cmp(&of(&points[**b])));
            least.copied()
        };
        let mut extremes = vec![lowest(|p| p.1), lowest(|p| -p.1)];
        if !forward {
            extremes.extend([lowest(|p| p.0), lowest(|p| -p.0)]);
        }
        kept.retain(|i| extremes.contains(&Some(*i)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ys(values: &[f64]) -> Series {
        let points = values.iter().enumerate().map(|(i, y)| (i as f64, *y));
        Series::named("y", points.collect())
    }

    #[test]
    fn smoothing_is_the_mean_of_a_window_and_leaves_gaps() {
        let of = |values: &[f64], width| -> Vec<f64> {
            let smooth = ys(values).smoothed(width);
            smooth.points.iter().map(|p| p.1).collect()
        };
        assert_eq!(of(&[1.0, 2.0, 6.0, 4.0], 3), [1.5, 3.0, 4.0, 5.0]);
        assert_eq!(of(&[1.0, 3.0, 5.0], 2), [2.0, 4.0, 5.0]);
        assert_eq!(of(&[1.0, 3.0, 5.0], usize::MAX), [3.0, 3.0, 3.0]);
        let gap = of(&[1.0, f64::NAN, 3.0], 3);
        assert!(gap[0] == 1.0 && gap[1].is_nan() && gap[2] == 3.0, "{gap:?}");
        assert_eq!(of(&[1e300, 1.0, 1.0, 1.0], 2)[2], 1.0);
        assert!(of(&[], 4).is_empty());
        for width in 1..9 {
            let values: Vec<f64> = (0..17).map(|i| f64::from(i * i % 11)).collect();
            for (i, mean) in of(&values, width).into_iter().enumerate() {
                let window =
                    &values[i.saturating_sub((width - 1) / 2)..(i + width / 2 + 1).min(17)];
                let slow = window.iter().sum::<f64>() / window.len() as f64;
                assert!((mean - slow).abs() < 1e-12, "{width} {i}");
            }
        }
    }

    #[test]
    fn a_thinned_curve_keeps_its_extremes() {
        let mut values: Vec<f64> = (0..1_000_000).map(|i| f64::from(i % 97)).collect();
        values[123_456] = 5000.0;
        values[765_432] = -5000.0;
        let series = ys(&values);
        let scale = Scale::around(series.finite().map(|p| p.0));
        let pieces = series.pieces(500, &scale);
        let kept: Vec<f64> = pieces.concat().iter().map(|p| p.1).collect();
        assert_eq!(pieces.len(), 1);
        assert!(kept.len() <= 2 * 501, "{}", kept.len());
        assert!(kept.contains(&5000.0) && kept.contains(&-5000.0));
    }

    #[test]
    fn a_gap_outlives_thinning_and_a_wandering_curve_is_thinned_too() {
        let mut values = vec![1.0; 10_000];
        values[4000..6000].fill(f64::NAN);
        let series = ys(&values);
        let scale = Scale {
            low: 0.0,
            high: 9999.0,
        };
        assert_eq!(series.pieces(100, &scale).len(), 2);
        let circle = (0..100_000).map(|i| (f64::from(i) / 1e3).sin_cos());
        let circle = Series::named("circle", circle.collect());
        let scale = Scale::around(circle.finite().map(|p| p.0));
        assert!(circle.pieces(100, &scale).concat().len() <= 400);
    }
}
