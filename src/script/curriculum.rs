//! The `Curriculum` type.

use super::convert;
use super::error::{Answer, At};
use super::settings::Settings;
use crate::data::{self, CurriculumSettings, Dataset, Row, Source};
use crate::error::{Error, Result};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, INT, Map, Module, NativeCallContext};
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;

/// A curriculum as a script's value: every copy is the same one.
#[derive(Clone)]
pub struct Curriculum(Rc<RefCell<data::Curriculum>>);

/// Registers the type, and its function in `data::`.
pub fn register(engine: &mut Engine, global: &mut Module, module: &mut Module) {
    engine.register_type_with_name::<Curriculum>("Curriculum");
    global.combine(exported_module!(members));
    module.combine(exported_module!(functions));
    let show = |c: &mut Curriculum| {
        let c = c.0.borrow();
        let lengths: Vec<String> = c.stages().iter().map(|d| d.len().to_string()).collect();
        let success = match c.success() {
            Some(success) => format!(", mean reward {success:.3} there"),
            None => String::new(),
        };
        format!(
            "Curriculum of {} stages ({} rows), at stage {}{success}; the next at {}",
            lengths.len(),
            lengths.join(", "),
            c.stage() + 1,
            c.settings().advance_at,
        )
    };
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

/// Borrowed for the length of a call only, so that a reward may look at the stage meanwhile.
impl Source for Curriculum {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn rows(&mut self, seed: u64, step: u64, count: usize) -> Vec<Row> {
        self.0.borrow_mut().rows(seed, step, count)
    }

    fn others(&self, seed: u64, step: u64, round: u64, count: usize) -> Vec<Row> {
        self.0.borrow().others(seed, step, round, count)
    }

    fn observe(&mut self, rewards: &[f64]) -> Option<String> {
        self.0.borrow_mut().observe(rewards)
    }

    fn metrics(&self) -> Vec<(&'static str, f64)> {
        self.0.borrow().metrics()
    }

    fn fingerprint(&self) -> u64 {
        self.0.borrow().fingerprint()
    }

    fn state(&self) -> Value {
        self.0.borrow().state()
    }

    fn restore(&mut self, state: &Value) -> Result<()> {
        self.0.borrow_mut().restore(state)
    }
}

#[export_module]
mod functions {
    /// Datasets in stages, the easy ones first, with the default settings.
    #[rhai_fn(name = "curriculum", return_raw)]
    pub fn curriculum_plain(ctx: NativeCallContext, stages: List) -> Answer<Curriculum> {
        curriculum(ctx, stages, Map::new())
    }

    /// Datasets in stages, the easy ones first, to train on: a stage is served until the mean reward
    /// of its last `window` (32) prompts is at least `advance_at` (0.8), then the next; the last one
    /// stays. `mix` (0) is the share of rows from earlier stages. A copy is the same curriculum; where
    /// it stands is part of every checkpoint.
    ///
    /// ```rhai
    /// let easy = data::rows([#{ prompt: "1+1=" }, #{ prompt: "1+2=" }]);
    /// let hard = data::rows([#{ prompt: "31+24=" }]);
    /// let c = data::curriculum([easy, hard], #{ advance_at: 0.9, window: 16, mix: 0.1 });
    /// assert_eq([c.stage, c.len()], [0, 3]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn curriculum(ctx: NativeCallContext, stages: List, settings: Map) -> Answer<Curriculum> {
        let settings = Settings::read(&ctx, "curriculum", settings, |s| {
            let mut c = CurriculumSettings::default();
            s.float("advance_at", &mut c.advance_at)?;
            s.count("window", &mut c.window)?;
            s.float("mix", &mut c.mix)?;
            c.check().map(|()| c)
        })?;
        let dataset = |(i, stage): (usize, &Dynamic)| -> Result<Dataset> {
            if stage.is_array() {
                return super::super::data::rows(stage).map(Dataset::new);
            }
            stage.clone().try_cast::<Dataset>().ok_or_else(|| {
                let found = format!("{} as stage {i}", convert::kind(stage));
                Error::value("curriculum", found, "a dataset, or a list of rows")
            })
        };
        let stages: Result<Vec<Dataset>> = stages.iter().enumerate().map(dataset).collect();
        let made = stages.and_then(|stages| data::Curriculum::new(stages, settings));
        made.map(|c| Curriculum(Rc::new(RefCell::new(c)))).at(&ctx)
    }
}

#[export_module]
mod members {
    /// The stage that it serves, from 0.
    ///
    /// ```rhai
    /// let c = data::curriculum([data::rows([#{ prompt: "1+1=" }])]);
    /// assert_eq(c.stage, 0);
    /// ```
    #[rhai_fn(global, get = "stage", pure)]
    pub fn stage(c: &mut Curriculum) -> INT {
        c.0.borrow().stage() as INT
    }

    /// The mean reward of the last prompts of the stage, at most `window` of them; `()` before the
    /// first.
    ///
    /// ```rhai
    /// let c = data::curriculum([data::rows([#{ prompt: "1+1=" }])]);
    /// assert_eq(c.success, ());
    /// ```
    #[rhai_fn(global, get = "success", pure)]
    pub fn success(c: &mut Curriculum) -> Dynamic {
        c.0.borrow().success().map_or(Dynamic::UNIT, Dynamic::from)
    }

    /// The stages, as a list of datasets.
    ///
    /// ```rhai
    /// let c = data::curriculum([data::rows([#{ prompt: "1+1=" }])]);
    /// assert_eq(c.stages[0].len(), 1);
    /// ```
    #[rhai_fn(global, get = "stages", pure)]
    pub fn stages(c: &mut Curriculum) -> List {
        let curriculum = c.0.borrow();
        curriculum
            .stages()
            .iter()
            .cloned()
            .map(Dynamic::from)
            .collect()
    }

    /// The number of rows in all stages.
    ///
    /// ```rhai
    /// let c = data::curriculum([data::rows([#{ prompt: "1+1=" }]), data::rows([#{ prompt: "1+2=" }])]);
    /// assert_eq(c.len(), 2);
    /// ```
    #[rhai_fn(global, name = "len", pure)]
    pub fn count(c: &mut Curriculum) -> INT {
        c.0.borrow().len() as INT
    }
}
