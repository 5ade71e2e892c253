//! The numbers of one step.

/// Names and values in the order in which they are shown and written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    pub values: Vec<(String, f64)>,
}

impl Metrics {
    /// Adds a value, or replaces the one of that name.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<f64> {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value)
    }
}

/// The values of a name, step by step; steps without it are left out.
pub fn curve(history: &[Metrics], name: &str) -> Vec<f64> {
    history
        .iter()
        .filter_map(|metrics| metrics.get(name))
        .collect()
}

/// Mean and sample deviation (0 for fewer than two values), NaN where there is no value.
pub fn mean_and_std(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}
