//! A trainer as what its metrics were from the first step to the last.

use super::Grid;
use super::grid::short;
use crate::plot::sparkline;
use crate::train::{Metrics, curve};

/// Metrics that people look at first, where a run has them.
const WATCHED: [&str; 11] = [
    "reward",
    "reward_std",
    "frac_reward_zero_std",
    "eval_reward",
    "loss",
    "eval_loss",
    "kl",
    "entropy",
    "completions/mean_length",
    "grad_norm",
    "learning_rate",
];

/// Characters of a curve.
const WIDTH: usize = 32;

/// A row for each metric: its first value, its last, and its curve.
pub fn curves(history: &[Metrics]) -> Grid {
    let mut names: Vec<&str> = WATCHED.to_vec();
    let parts = history.last().into_iter().flat_map(|m| &m.values);
    // A reward that is the only one is the reward itself.
    let is_part = |name: &&str| {
        name.starts_with("rewards/") && name.ends_with("/mean") && *name != "rewards/reward/mean"
    };
    names.splice(1..1, parts.map(|(name, _)| name.as_str()).filter(is_part));
    let rows = names.iter().filter_map(|name| {
        let values = curve(history, name);
        let (first, last) = (values.first()?, values.last()?);
        let row = [name.to_string(), short(*first), short(*last)];
        Some(row.into_iter().chain([sparkline(&values, WIDTH)]).collect())
    });
    Grid::new(&["metric", "first", "last", ""], rows.collect())
}
