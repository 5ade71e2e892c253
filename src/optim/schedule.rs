//! How the learning rate changes.

use crate::error::{Error, Result};

/// A rate that changes with the step, as `mlx.optimizers` has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// In a straight line from `init` to `end`, over so many steps.
    Linear { init: f64, end: f64, steps: u64 },
    /// Half a cosine from `init` to `end`, over so many steps.
    Cosine { init: f64, end: f64, steps: u64 },
    /// `init rate^(step / size)`, the quotient rounded down.
    StepDecay { init: f64, rate: f64, size: u64 },
    /// `init rate^step`.
    Exponential { init: f64, rate: f64 },
}

impl Curve {
    /// Where it begins.
    pub fn init(self) -> f64 {
        match self {
            Self::Linear { init, .. }
            | Self::Cosine { init, .. }
            | Self::StepDecay { init, .. }
            | Self::Exponential { init, .. } => init,
        }
    }

    /// The rate of a step, counted from 0.
    pub fn rate(self, step: u64) -> f64 {
        let share = |steps: u64| step.min(steps) as f64 / steps.max(1) as f64;
        match self {
            Self::Linear { init, end, steps } => init + (end - init) * share(steps),
            Self::Cosine { init, end, steps } => {
                let part = 0.5 * (1.0 + (std::f64::consts::PI * share(steps)).cos());
                end + part * (init - end)
            }
            Self::StepDecay { init, rate, size } => init * rate.powf((step / size.max(1)) as f64),
            Self::Exponential { init, rate } => init * rate.powf(step as f64),
        }
    }
}

/// A curve after a rise, joined as mlx-lm does: the rise takes `steps` steps from `from`, and the
/// curve begins one step after it has reached its own start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    pub curve: Curve,
    pub steps: u64,
    pub from: f64,
}

impl WarmUp {
    /// The rate of a step, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        let rise = Curve::Linear {
            init: self.from,
            end: self.curve.init(),
            steps: self.steps,
        };
        match step.checked_sub(self.steps + 1) {
            _ if self.steps == 0 => self.curve.rate(step),
            Some(after) => self.curve.rate(after),
            None => rise.rate(step),
        }
    }
}

/// What follows the warm-up of a trainer.
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
    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
            Self::Cosine => "cosine",
        }
    }

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

/// A trainer's rate for every step, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    pub peak: f64,
    pub warmup_steps: u64,
    pub decay: Decay,
    /// The number of steps that a decay is spread over; 0 is not known, and nothing decays.
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
        let (init, end, steps) = (self.peak, 0.0, span);
        match self.decay {
            _ if self.total_steps == 0 => init,
            Decay::Constant => init,
            Decay::Linear => Curve::Linear { init, end, steps }.rate(step - self.warmup_steps),
            Decay::Cosine => Curve::Cosine { init, end, steps }.rate(step - self.warmup_steps),
        }
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
        schedule.total_steps = 0;
        assert_eq!([schedule.rate(3), schedule.rate(70)], [1.0, 1.0]);
    }
}
