//! How often values fall into each bin.

use super::scale::Scale;

/// Counts of values in bins of one width.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The lower edge of the first bin.
    pub low: f64,
    /// The upper edge of the last bin, which belongs to it.
    pub high: f64,
    pub counts: Vec<usize>,
    /// Values that are in no bin since they are not numbers.
    pub nan: usize,
    /// Values that are in no bin since they are infinite.
    pub infinite: usize,
}

/// More bins than this show noise; heavy tails would ask for millions.
const MOST_CHOSEN: usize = 100;

impl Histogram {
    /// Counts values in `bins` bins, or in as many as Freedman and Diaconis's rule chooses.
    pub fn of(values: &[f64], bins: Option<usize>) -> Self {
        let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        finite.sort_unstable_by(f64::total_cmp);
        let Scale { low, high } = Scale::around(finite.iter().copied());
        let bins = bins.unwrap_or_else(|| chosen(&finite)).max(1);
        let mut counts = vec![0; bins];
        for value in &finite {
            let bin = Scale { low, high }.place(*value) * bins as f64;
            counts[(bin as usize).min(bins - 1)] += 1;
        }
        let nan = values.iter().filter(|v| v.is_nan()).count();
        Self {
            low,
            high,
            counts,
            nan,
            infinite: values.len() - finite.len() - nan,
        }
    }

    /// How many values are in bins.
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// The height of the highest bin.
    pub fn most(&self) -> usize {
        self.counts.iter().copied().max().unwrap_or(0)
    }

    /// The same with at most `limit` bins: neighbours are added up.
    pub fn merged(&self, limit: usize) -> Self {
        let each = self.counts.len().div_ceil(limit.max(1));
        let mut merged = self.clone();
        if each > 1 {
            let sums = self.counts.chunks(each).map(|bins| bins.iter().sum());
            merged.counts = sums.collect();
            // The last bin may be of fewer; its edge moves out, so that all are of one width.
            let bins = (merged.counts.len() * each) as f64 / self.counts.len() as f64;
            // Two products, since the range itself may overflow.
            let high = self.low * (1.0 - bins) + self.high * bins;
            merged.high = high.min(f64::MAX);
        }
        merged
    }

    /// How many values there are, and what was left out.
    pub fn summary(&self) -> String {
        let mut text = format!("n = {}", self.total());
        let left_out: Vec<String> = [(self.nan, "NaN"), (self.infinite, "infinite")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        if !left_out.is_empty() {
            text.push_str(&format!("; left out: {}", left_out.join(", ")));
        }
        text
    }
}

/// Freedman and Diaconis (1981): bins of twice the interquartile range over the cube root of n.
/// Where half of the values are one value, that range is 0, and Sturges's rule answers.
fn chosen(sorted: &[f64]) -> usize {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return 1;
    };
    if first == last {
        return 1;
    }
    let n = sorted.len() as f64;
    let quartile = |part: f64| sorted[(part * (n - 1.0)).round() as usize];
    // Halves, since the range may overflow.
    let width = 2.0 * (quartile(0.75) / 2.0 - quartile(0.25) / 2.0) / n.cbrt();
    let bins = (last / 2.0 - first / 2.0) / width;
    let bins = if width > 0.0 && bins.is_finite() {
        bins.ceil()
    } else {
        n.log2().ceil() + 1.0
    };
    (bins as usize).clamp(1, MOST_CHOSEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_value_is_in_a_bin() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i * i % 331)).collect();
        for bins in [None, Some(1), Some(7), Some(5000)] {
            let mut all = values.clone();
            all.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
            let histogram = Histogram::of(&all, bins);
            assert_eq!(histogram.total(), 1000);
            assert_eq!((histogram.nan, histogram.infinite), (1, 2));
            for limit in [1, 3, 40] {
                let merged = histogram.merged(limit);
                assert!(merged.counts.len() <= limit && merged.total() == 1000);
            }
        }
        let summary = Histogram::of(&[1.0, f64::NAN], None).summary();
        assert_eq!(summary, "n = 1; left out: 1 NaN");
    }

    #[test]
    fn the_rule_of_freedman_and_diaconis_chooses_the_width() {
        // 0, 1, .., 999: quartiles 250 and 749, so bins of 2 * 499 / 10 = 99.8 over 999.
        let even: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(Histogram::of(&even, None).counts.len(), 11);
        assert_eq!(Histogram::of(&[3.0; 50], None).counts, [50]);
        assert_eq!(Histogram::of(&[], None).counts, [0]);
        let mostly_one = [vec![0.0; 100], vec![1.0]].concat();
        assert_eq!(Histogram::of(&mostly_one, None).counts.len(), 8);
        let heavy_tail = [even, vec![1e12]].concat();
        assert_eq!(Histogram::of(&heavy_tail, None).counts.len(), MOST_CHOSEN);
        let huge = Histogram::of(&[f64::MIN, -1.0, 1.0, f64::MAX], None);
        assert_eq!(huge.total(), 4);
    }
}
