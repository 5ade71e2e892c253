//! How much better a completion is than its group.

use crate::error::{Error, Result};
use serde::Serialize;

/// What a centred reward is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The deviation of its group.
    #[default]
    Group,
    /// The deviation of all rewards (<https://arxiv.org/abs/2508.08221>).
    Batch,
    /// Nothing, as in Dr. GRPO (<https://arxiv.org/abs/2503.20783>).
    None,
}

impl Scale {
    /// The scale of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "group" => Ok(Self::Group),
            "batch" => Ok(Self::Batch),
            "none" => Ok(Self::None),
            other => Err(Error::setting(
                "scale_rewards",
                other,
                "group, batch or none",
            )),
        }
    }
}

/// What a reward is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The mean of its group.
    #[default]
    Mean,
    /// The mean of the others of its group (RLOO, <https://arxiv.org/abs/2402.14740>): an
    /// estimate without bias, `n / (n - 1)` times the other.
    LeaveOneOut,
}

impl Baseline {
    /// The baseline of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "mean" => Ok(Self::Mean),
            "leave_one_out" => Ok(Self::LeaveOneOut),
            other => Err(Error::setting("baseline", other, "mean or leave_one_out")),
        }
    }

    /// Values minus what they are compared with; NaN stays NaN and counts for nobody.
    fn centre(self, values: &[f64]) -> Vec<f64> {
        let mean = mean(values);
        let factor = match self {
            Self::Mean => 1.0,
            Self::LeaveOneOut => {
                let n = values.iter().filter(|v| !v.is_nan()).count() as f64;
                n / (n - 1.0)
            }
        };
        values.iter().map(|v| (v - mean) * factor).collect()
    }

    /// The same over the deviation of the values.
    fn normalize(self, values: &[f64]) -> Vec<f64> {
        let deviation = deviation(values) + EPS;
        let centred = self.centre(values);
        centred.iter().map(|v| v / deviation).collect()
    }
}

/// How several rewards become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    #[default]
    SumThenNormalize,
    /// Each reward is normalised in its group first (GDPO).
    NormalizeThenSum,
}

impl Aggregation {
    /// The aggregation of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "sum_then_normalize" => Ok(Self::SumThenNormalize),
            "normalize_then_sum" => Ok(Self::NormalizeThenSum),
            other => Err(Error::setting(
                "multi_objective_aggregation",
                other,
                "sum_then_normalize or normalize_then_sum",
            )),
        }
    }
}

/// Settings, under TRL's names; `baseline` is ours.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AdvantageSettings {
    /// `NormalizeThenSum` does not ask.
    pub scale_rewards: Scale,
    pub baseline: Baseline,
    /// One weight for each reward; empty means 1 each.
    pub reward_weights: Vec<f64>,
    pub multi_objective_aggregation: Aggregation,
}

/// Keeps a division from a deviation of 0; TRL's number.
const EPS: f64 = 1e-4;

/// Rewards minus the baseline of their group, divided by what `settings` say.
///
/// Deviations are sample deviations (n - 1). `None` is a reward that could not be scored: a row
/// without any score, or alone in its group, has the advantage 0, and a row with some scores counts
/// the others as 0. `NormalizeThenSum` normalises the sums once more, over all rows.
///
/// # Shapes
/// - rewards: `P * G` rows of K rewards, the G completions of a prompt adjacent
/// - returns: `P * G` numbers
///
/// # Errors
/// Rows that do not divide into groups, another number of weights than rewards, a reward that is
/// not finite.
pub fn advantages(
    rewards: &[Vec<Option<f64>>],
    num_generations: usize,
    settings: &AdvantageSettings,
) -> Result<Vec<f64>> {
    let columns = rewards.first().map_or(1, Vec::len);
    let weights = check(rewards, columns, num_generations, settings)?;
    let baseline = settings.baseline;
    let grouped = |values: &[f64], f: &dyn Fn(&[f64]) -> Vec<f64>| -> Vec<f64> {
        values.chunks(num_generations).flat_map(f).collect()
    };
    let advantages = match settings.multi_objective_aggregation {
        Aggregation::SumThenNormalize => {
            let sums: Vec<f64> = rewards.iter().map(|row| weighted(row, &weights)).collect();
            let centred = grouped(&sums, &|values| baseline.centre(values));
            match settings.scale_rewards {
                Scale::None => centred,
                Scale::Batch => {
                    let deviation = deviation(&sums);
                    centred.iter().map(|a| a / (deviation + EPS)).collect()
                }
                Scale::Group => grouped(&sums, &|values| baseline.normalize(values)),
            }
        }
        Aggregation::NormalizeThenSum => {
            let mut normalized = vec![vec![None; columns]; rewards.len()];
            for column in 0..columns {
                let values: Vec<f64> = rewards
                    .iter()
                    .map(|row| row[column].unwrap_or(f64::NAN))
                    .collect();
                let values = grouped(&values, &|values| baseline.normalize(values));
                for (row, value) in values.into_iter().enumerate() {
                    normalized[row][column] = Some(value).filter(|value| !value.is_nan());
                }
            }
            let unscorable = |row: usize| rewards[row].iter().all(Option::is_none);
            let sums: Vec<f64> = (0..rewards.len())
                .map(|row| match unscorable(row) {
                    true => f64::NAN,
                    false => normalized[row]
                        .iter()
                        .zip(&weights)
                        .map(|(value, weight)| value.unwrap_or(0.0) * weight)
                        .sum(),
                })
                .collect();
            Baseline::Mean.normalize(&sums)
        }
    };
    Ok(advantages
        .into_iter()
        .map(|a| if a.is_nan() { 0.0 } else { a })
        .collect())
}

fn check(
    rewards: &[Vec<Option<f64>>],
    columns: usize,
    group: usize,
    settings: &AdvantageSettings,
) -> Result<Vec<f64>> {
    if group == 0 || !rewards.len().is_multiple_of(group) {
        return Err(Error::value(
            "rewards",
            format!("{} values", rewards.len()),
            &format!("a multiple of num_generations = {group}"),
        ));
    }
    for (i, row) in rewards.iter().enumerate() {
        if row.len() != columns {
            let found = format!("{} values in row {i}", row.len());
            return Err(Error::value(
                "rewards",
                found,
                &format!("{columns} in every row"),
            ));
        }
        if let Some(bad) = row.iter().flatten().find(|value| !value.is_finite()) {
            return Err(Error::value(
                format!("rewards[{i}]"),
                bad,
                "a finite number",
            ));
        }
    }
    settings.check()?;
    settings.check_count(columns)?;
    Ok(match settings.reward_weights.as_slice() {
        [] => vec![1.0; columns],
        weights => weights.to_vec(),
    })
}

impl AdvantageSettings {
    /// An error for a weight that is no number to multiply by.
    pub fn check(&self) -> Result<()> {
        let bad = self
            .reward_weights
            .iter()
            .find(|weight| !weight.is_finite());
        bad.map_or(Ok(()), |bad| {
            Err(Error::setting("reward_weights", bad, "finite numbers"))
        })
    }

    /// An error for another number of weights than of rewards; none is 1 for each.
    pub fn check_count(&self, rewards: usize) -> Result<()> {
        match self.reward_weights.len() {
            0 => Ok(()),
            n if n == rewards => Ok(()),
            n => Err(Error::setting(
                "reward_weights",
                format!("{n} weights"),
                &format!("one for each of {rewards} rewards"),
            )),
        }
    }
}

/// The weighted sum of a row's scores; missing ones count as 0, a row without any as NaN.
pub fn weighted(row: &[Option<f64>], weights: &[f64]) -> f64 {
    if row.iter().all(Option::is_none) {
        return f64::NAN;
    }
    let scored = row.iter().zip(weights);
    scored
        .map(|(score, weight)| score.unwrap_or(0.0) * weight)
        .sum()
}

fn mean(values: &[f64]) -> f64 {
    let scored: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    scored.iter().sum::<f64>() / scored.len() as f64
}

/// Sample deviation of the values that are there; NaN for fewer than two.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: Vec<f64> = values
        .iter()
        .filter(|v| !v.is_nan())
        .map(|v| (v - mean).powi(2))
        .collect();
    if squares.len() < 2 {
        return f64::NAN;
    }
    (squares.iter().sum::<f64>() / (squares.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests;
