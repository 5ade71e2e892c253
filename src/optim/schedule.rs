//! How the learning rate changes.

use crate::error::{Error, Result};

/// What follows the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decay {
    #[default]
    Constant,
    /// In a straight line to 0 at the last step.
    Linear,
    /// Half a cosine to 0 at the last step.
    Cosine,
}

impl Decay {
    /// The decay of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "constant" => Ok(Self::Constant),
            "linear" => Ok(Self::Linear),
            "cosine" => Ok(Self::Cosine),
            other => Err(Error::setting(
                "lr_scheduler",
                other,
                "constant, linear or cosine",
            )),
        }
    }
}

/// A rate for every step, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    pub peak: f64,
    pub warmup_steps: u64,
    pub decay: Decay,
    /// The number of steps that a decay is spread over.
    pub total_steps: u64,
}

impl Schedule {
    /// The rate of a step.
    ///
    /// The warm-up rises by `peak / warmup_steps` a step and reaches the peak with its last: no
    /// step is spent at a rate of 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let span = self.total_steps.saturating_sub(self.warmup_steps).max(1);
        let progress = ((step - self.warmup_steps) as f64 / span as f64).min(1.0);
        let factor: f64 = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - progress,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        self.peak * factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_and_fall() {
        let mut schedule = Schedule {
            peak: 1.0,
            warmup_steps: 0,
            decay: Decay::Constant,
            total_steps: 10,
        };
        assert_eq!(schedule.rate(0), 1.0);
        assert_eq!(schedule.rate(99), 1.0);
        schedule.warmup_steps = 4;
        assert_eq!(schedule.rate(0), 0.25);
        assert_eq!(schedule.rate(3), 1.0);
        schedule.decay = Decay::Linear;
        assert_eq!(schedule.rate(4), 1.0);
        assert_eq!(schedule.rate(7), 0.5);
        assert_eq!(schedule.rate(10), 0.0);
        schedule.decay = Decay::Cosine;
        assert!((schedule.rate(7) - 0.5).abs() < 1e-6);
    }
}
