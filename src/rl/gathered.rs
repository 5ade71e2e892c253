//! The numbers of a step, of which each micro-batch knows a part.

/// The numbers of a step, gathered over its micro-batches.
#[derive(Default)]
pub(super) struct Gathered(pub Vec<(String, f64)>);

impl Gathered {
    fn with(&mut self, name: &str, value: f64, join: impl Fn(f64, f64) -> f64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = join(*old, value),
            None => self.0.push((name.to_string(), value)),
        }
    }

    /// A mean over tokens, of which this part has a share; extremes stay extremes.
    pub fn mean(&mut self, name: &str, value: f64, share: f64) {
        if name.ends_with("max") {
            self.with(name, value, f64::max);
        } else if name.ends_with("min") {
            self.with(name, value, f64::min);
        } else {
            self.with(name, value * share, |a, b| a + b);
        }
    }
}

/// The mean of `f` of what is not masked; 0 where everything is.
pub(super) fn masked_mean(mask: &[f32], values: &[f32], f: impl Fn(f32) -> f64) -> f64 {
    let pairs = mask.iter().zip(values).filter(|(m, _)| **m > 0.0);
    let (sum, count) = pairs.fold((0.0, 0), |(sum, n), (_, x)| (sum + f(*x), n + 1));
    sum / f64::from(count.max(1))
}

/// How far log-probabilities in training are from those at sampling time, under TRL's names.
pub(super) fn compared(mask: &[f32], trained: &[f32], sampled: &[f32]) -> Vec<(String, f64)> {
    let differences: Vec<f32> = trained.iter().zip(sampled).map(|(a, b)| a - b).collect();
    let counted = mask.iter().zip(&differences).filter(|(m, _)| **m > 0.0);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (_, difference) in counted {
        low = low.min(f64::from(*difference));
        high = high.max(f64::from(*difference));
    }
    if low > high {
        return Vec::new();
    }
    let ratio = |x: f32| f64::from(x).exp();
    let size = |x: f32| f64::from(x).abs();
    let name = |name: &str| format!("sampling/{name}");
    vec![
        (
            name("sampling_logp_difference/mean"),
            masked_mean(mask, &differences, size),
        ),
        (
            name("sampling_logp_difference/max"),
            low.abs().max(high.abs()),
        ),
        (name("importance_sampling_ratio/min"), low.exp()),
        (
            name("importance_sampling_ratio/mean"),
            masked_mean(mask, &differences, ratio),
        ),
        (name("importance_sampling_ratio/max"), high.exp()),
    ]
}
