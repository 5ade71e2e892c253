//! Datasets in stages, from the easy to the hard.

use super::{Dataset, Row, Source};
use crate::error::{Error, Result};
use crate::mlx::random::{Host, derive};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// When a stage is left, and what of the earlier ones stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurriculumSettings {
    /// A stage is left when the mean reward of its last `window` prompts is at least this.
    pub advance_at: f64,
    /// How many prompts the mean is taken over.
    pub window: usize,
    /// The share of rows from earlier stages, so that these are not forgotten.
    pub mix: f64,
}

impl Default for CurriculumSettings {
    fn default() -> Self {
        Self {
            advance_at: 0.8,
            window: 32,
            mix: 0.0,
        }
    }
}

impl CurriculumSettings {
    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        if !self.advance_at.is_finite() {
            return Err(Error::setting("advance_at", self.advance_at, "a reward"));
        }
        if self.window == 0 {
            return Err(Error::setting("window", 0, "at least 1 prompt"));
        }
        if !(0.0..1.0).contains(&self.mix) {
            let expected = "a share of at least 0 and below 1";
            return Err(Error::setting("mix", self.mix, expected));
        }
        Ok(())
    }
}

/// Serves a stage until its prompts are worth enough, then the next; the last one stays.
#[derive(Clone, Debug)]
pub struct Curriculum {
    stages: Vec<Dataset>,
    settings: CurriculumSettings,
    stage: usize,
    /// Rows of the stage that were served in steps that were taken.
    served: usize,
    /// Mean rewards of the last prompts of the stage.
    recent: VecDeque<f64>,
    /// Which rows of the step at hand are of the stage itself.
    own: Vec<bool>,
}

impl Curriculum {
    /// # Errors
    /// No stage, a stage without rows, a setting out of its range.
    pub fn new(stages: Vec<Dataset>, settings: CurriculumSettings) -> Result<Self> {
        settings.check()?;
        if stages.is_empty() {
            let expected = "at least one dataset";
            return Err(Error::value("curriculum", "an empty list", expected));
        }
        if let Some(empty) = stages.iter().position(Source::is_empty) {
            let found = format!("stage {empty} without rows");
            return Err(Error::value("curriculum", found, "rows in every stage"));
        }
        Ok(Self {
            stages,
            settings,
            stage: 0,
            served: 0,
            recent: VecDeque::new(),
            own: Vec::new(),
        })
    }

    /// The stage that it serves, from 0.
    pub fn stage(&self) -> usize {
        self.stage
    }

    /// All stages.
    pub fn stages(&self) -> &[Dataset] {
        &self.stages
    }

    /// What it was made with.
    pub fn settings(&self) -> CurriculumSettings {
        self.settings
    }

    /// Mean reward of the last prompts of the stage, at most `window` of them.
    pub fn success(&self) -> Option<f64> {
        let count = self.recent.len();
        (count > 0).then(|| self.recent.iter().sum::<f64>() / count as f64)
    }

    /// A row of one of the earlier stages, all of their rows alike.
    fn earlier(&self, numbers: &mut Host) -> Row {
        let earlier = &self.stages[..self.stage];
        let mut at = numbers.below(earlier.iter().map(Source::len).sum());
        for stage in earlier {
            match stage.rows().get(at) {
                Some(row) => return row.clone(),
                None => at -= stage.len(),
            }
        }
        Row::default()
    }
}

impl Source for Curriculum {
    fn len(&self) -> usize {
        self.stages.iter().map(Source::len).sum()
    }

    /// Rows of a stage follow each other through its epochs without a gap, however few it has.
    fn rows(&mut self, seed: u64, step: u64, count: usize) -> Vec<Row> {
        let data = &self.stages[self.stage];
        let seed = derive(derive(seed, 5), self.stage as u64);
        let mut numbers = Host::new(derive(derive(seed, 6), step));
        let mut rows = Vec::with_capacity(count);
        let (mut next, mut epoch, mut order) = (self.served, usize::MAX, Vec::new());
        self.own.clear();
        for _ in 0..count {
            let is_own = self.stage == 0 || f64::from(numbers.uniform()) >= self.settings.mix;
            self.own.push(is_own);
            if !is_own {
                rows.push(self.earlier(&mut numbers));
                continue;
            }
            if epoch != next / data.len() {
                epoch = next / data.len();
                order = data.order(seed, epoch as u64);
            }
            rows.push(data.rows()[order[next % data.len()]].clone());
            next += 1;
        }
        rows
    }

    fn others(&self, seed: u64, step: u64, round: u64, count: usize) -> Vec<Row> {
        self.stages[self.stage].others(seed, step, round, count)
    }

    fn observe(&mut self, rewards: &[f64]) -> Option<String> {
        let own = std::mem::take(&mut self.own);
        self.served += own.iter().filter(|own| **own).count();
        let known = rewards
            .iter()
            .zip(&own)
            .filter(|(reward, own)| **own && !reward.is_nan());
        for (reward, _) in known {
            self.recent.push_back(*reward);
        }
        while self.recent.len() > self.settings.window {
            self.recent.pop_front();
        }
        let success = self.success()?;
        let is_full = self.recent.len() == self.settings.window;
        if !is_full || success < self.settings.advance_at || self.stage + 1 == self.stages.len() {
            return None;
        }
        self.stage += 1;
        self.served = 0;
        self.recent.clear();
        Some(format!(
            "curriculum: stage {} of {} ({} rows) from here on; the mean reward of the last {} prompts \
             was {success:.3}",
            self.stage + 1,
            self.stages.len(),
            self.stages[self.stage].len(),
            self.settings.window,
        ))
    }

    fn metrics(&self) -> Vec<(&'static str, f64)> {
        let success = self.success().unwrap_or(f64::NAN);
        vec![
            ("curriculum/stage", self.stage as f64),
            ("curriculum/success", success),
        ]
    }

    fn fingerprint(&self) -> u64 {
        let each = self.stages.iter().map(Source::fingerprint);
        each.fold(self.stages.len() as u64, derive)
    }

    fn state(&self) -> Value {
        json!({
            "stage": self.stage,
            "served": self.served,
            "recent": self.recent,
        })
    }

    fn restore(&mut self, state: &Value) -> Result<()> {
        let count = |name: &str| state[name].as_u64().map(|n| n as usize);
        let recent: Option<VecDeque<f64>> = state["recent"]
            .as_array()
            .and_then(|list| list.iter().map(Value::as_f64).collect());
        match (count("stage"), count("served"), recent) {
            (Some(stage), Some(served), Some(recent)) if stage < self.stages.len() => {
                (self.stage, self.served, self.recent) = (stage, served, recent);
                self.own.clear();
                Ok(())
            }
            _ => Err(Error::value(
                "curriculum",
                format!("one of {} stages", self.stages.len()),
                &format!("that of the checkpoint, which stands at {state}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, n: usize) -> Dataset {
        let row = |i: usize| {
            let fields = [("prompt".to_string(), Value::from(format!("{name}{i}")))];
            Row::new(fields.into_iter().collect())
        };
        Dataset::new((0..n).map(row).collect())
    }

    fn curriculum(mix: f64) -> Curriculum {
        let settings = CurriculumSettings {
            advance_at: 0.5,
            window: 4,
            mix,
        };
        Curriculum::new(
            vec![stage("a", 5), stage("b", 3), stage("c", 100)],
            settings,
        )
        .unwrap()
    }

    fn names(rows: &[Row]) -> Vec<String> {
        rows.iter()
            .map(|row| row.prompt().unwrap().to_string())
            .collect()
    }

    #[test]
    fn a_stage_stays_until_its_window_is_worth_enough() {
        let mut c = curriculum(0.0);
        for step in 0..10 {
            assert!(
                names(&c.rows(1, step, 2))
                    .iter()
                    .all(|n| n.starts_with('a'))
            );
            assert_eq!(c.observe(&[0.0, 0.9]), None);
        }
        // The window is 0, 0.9, 0.5, 0.6: exactly enough is enough.
        c.rows(1, 10, 2);
        let said = c.observe(&[0.5, 0.6]).unwrap();
        assert!(
            said.contains("stage 2 of 3") && said.contains("0.500"),
            "{said}"
        );
        // Rewards of the first stage do not count for the second.
        for step in 11..14 {
            assert!(
                names(&c.rows(1, step, 3))
                    .iter()
                    .all(|n| n.starts_with('b'))
            );
            let said = c.observe(&[1.0, f64::NAN, f64::NAN]);
            assert_eq!(said, None, "three of four");
        }
        c.rows(1, 14, 3);
        assert!(c.observe(&[1.0, f64::NAN, 1.0]).is_some());
        // The last one stays.
        for step in 15..30 {
            assert!(
                names(&c.rows(1, step, 2))
                    .iter()
                    .all(|n| n.starts_with('c'))
            );
            assert_eq!(c.observe(&[1.0, 1.0]), None);
        }
    }

    #[test]
    fn every_row_of_a_stage_comes_once_in_an_epoch() {
        let mut c = curriculum(0.0);
        let mut seen = Vec::new();
        for step in 0..5 {
            seen.extend(names(&c.rows(3, step, 2)));
            c.observe(&[0.0, 0.0]);
        }
        for epoch in seen.chunks_mut(5) {
            epoch.sort();
            assert_eq!(epoch, ["a0", "a1", "a2", "a3", "a4"]);
        }
    }

    #[test]
    fn earlier_stages_are_mixed_in_and_do_not_count() {
        let mut c = curriculum(0.4);
        for step in 0..2 {
            c.rows(1, step, 2);
            c.observe(&[1.0, 1.0]);
        }
        assert_eq!(c.stage(), 1);
        let (mut earlier, mut all) = (0, 0);
        for step in 2..200 {
            let rows = names(&c.rows(1, step, 4));
            let rewards: Vec<f64> = rows
                .iter()
                .map(|n| f64::from(u8::from(n.starts_with('a'))))
                .collect();
            earlier += rewards.iter().filter(|r| **r == 1.0).count();
            all += rows.len();
            assert_eq!(c.observe(&rewards), None);
        }
        let share = earlier as f64 / all as f64;
        assert!((share - 0.4).abs() < 0.05, "{share}");
    }

    #[test]
    fn what_follows_a_state_is_what_would_have_followed() {
        let (mut one, mut two) = (curriculum(0.3), curriculum(0.3));
        let step = |c: &mut Curriculum, step: u64| {
            let rows = names(&c.rows(9, step, 3));
            c.observe(&[0.2, 0.7, 0.9]);
            rows
        };
        for i in 0..7 {
            step(&mut one, i);
        }
        // A step that was not taken leaves nothing.
        one.rows(9, 7, 3);
        two.restore(&one.state()).unwrap();
        for i in 7..40 {
            assert_eq!(step(&mut one, i), step(&mut two, i));
        }
        assert_eq!(one.state(), two.state());
        let few = Curriculum::new(vec![stage("a", 5)], CurriculumSettings::default());
        let error = few.unwrap().restore(&one.state()).unwrap_err().to_string();
        assert!(error.contains("one of 1 stages"), "{error}");
    }
}
