//! What looks wrong with a run, said while something can still be done about it.

use super::trainer::GrpoTrainer;
use crate::train::Metrics;

/// Steps in which no prompt taught anything, before it is said.
const DULL_STEPS: usize = 5;

/// Mean difference of log-probabilities in sampling and training that is too large.
const MISMATCH: f64 = 0.01;

/// A warning is repeated after so many steps, if it still holds.
const REPEAT: u64 = 50;

/// At which step each warning was last given.
#[derive(Clone, Debug, Default)]
pub(super) struct Warned(Vec<(&'static str, u64)>);

impl Warned {
    /// Whether it is time to say it.
    fn is_due(&mut self, kind: &'static str, step: u64) -> bool {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, last)) if step < *last + REPEAT => false,
            Some((_, last)) => {
                *last = step;
                true
            }
            None => {
                self.0.push((kind, step));
                true
            }
        }
    }
}

impl GrpoTrainer {
    /// Looks at the last steps, and notes what a user should know.
    pub(super) fn warn(&mut self) {
        let step = self.step;
        for (kind, text) in found(&self.history, self.settings.max_completion_length) {
            if self.warned.is_due(kind, step) {
                self.notes.push(format!("warning: step {step}: {text}"));
            }
        }
    }
}

fn found(history: &[Metrics], longest: usize) -> Vec<(&'static str, String)> {
    let Some(last) = history.last() else {
        return Vec::new();
    };
    let get = |name: &str| last.get(name).unwrap_or(0.0);
    let mut list = Vec::new();
    if get("completions/clipped_ratio") == 1.0 {
        let text = format!(
            "every completion was cut off at max_completion_length = {longest}; raise it, or check \
             that the model can end: stop_token_ids and the prompt's format"
        );
        list.push(("truncated", text));
    }
    let recent = &history[history.len().saturating_sub(DULL_STEPS)..];
    let is_dull = |m: &Metrics| m.get("frac_reward_zero_std") == Some(1.0);
    if recent.len() == DULL_STEPS && recent.iter().all(is_dull) {
        let text = format!(
            "in the last {DULL_STEPS} steps all completions of each prompt got the same reward, so \
             nothing was learnt; check the reward, the difficulty of the prompts, or sample more"
        );
        list.push(("dull", text));
    }
    let mismatch = get("sampling/sampling_logp_difference/mean");
    if mismatch > MISMATCH {
        let text = format!(
            "log-probabilities in training are {mismatch:.3} away from those at sampling time on \
             average (up to {MISMATCH} is rounding); gradients are of another policy than the one \
             that sampled"
        );
        list.push(("mismatch", text));
    }
    if get("skipped") > 0.0 {
        let text = "the loss or its gradient was not finite, and the update was left out".into();
        list.push(("skipped", text));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(values: &[(&str, f64)]) -> Metrics {
        let mut metrics = Metrics::default();
        for (name, value) in values {
            metrics.set(*name, *value);
        }
        metrics
    }

    fn kinds(history: &[Metrics]) -> Vec<&'static str> {
        let list = found(history, 8).into_iter();
        list.map(|(kind, _)| kind).collect()
    }

    #[test]
    fn what_is_wrong_is_named_and_what_is_not_is_not() {
        let fine = metrics(&[
            ("completions/clipped_ratio", 0.9),
            ("frac_reward_zero_std", 0.5),
            ("sampling/sampling_logp_difference/mean", 1e-6),
        ]);
        assert!(kinds(&vec![fine.clone(); 6]).is_empty());
        let cut = metrics(&[("completions/clipped_ratio", 1.0)]);
        assert_eq!(kinds(&[fine.clone(), cut]), ["truncated"]);
        let dull = metrics(&[("frac_reward_zero_std", 1.0)]);
        assert!(kinds(&vec![dull.clone(); 4]).is_empty());
        assert_eq!(kinds(&vec![dull.clone(); 5]), ["dull"]);
        assert!(kinds(&[vec![dull; 4], vec![fine]].concat()).is_empty());
        let off = metrics(&[("sampling/sampling_logp_difference/mean", 0.02)]);
        assert_eq!(kinds(&[off]), ["mismatch"]);
    }

    #[test]
    fn a_warning_is_not_given_at_every_step() {
        let mut warned = Warned::default();
        let due: Vec<u64> = (0..120)
            .filter(|step| warned.is_due("dull", *step))
            .collect();
        assert_eq!(due, [0, 50, 100]);
    }
}
