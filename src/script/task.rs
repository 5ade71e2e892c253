//! Task scripts: data and reward together in one file.

use super::convert;
use super::data::row;
use super::error::{Answer, At};
use super::live::LiveScript;
use super::settings::Settings;
use crate::data::{Dataset, Row};
use crate::error::{Error, Result};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, INT, Map, Module, NativeCallContext};
use serde_json::json;
use std::path::Path;

/// Registers the functions in `data::`.
pub fn register(module: &mut Module) {
    module.combine(exported_module!(functions));
}

/// Rows that a function of a task answered, with its system prompt in front.
fn rows_of(path: &str, what: &str, answer: &Dynamic, system: Option<&str>) -> Result<Vec<Row>> {
    let wrong = |found: String| {
        let expected = "a list of rows, such as [#{ prompt: \"1+1=\", answer: \"2\" }]";
        Error::value("task", format!("{found} from `{what}` of {path}"), expected)
    };
    let list = answer.read_lock::<List>();
    let list = list.ok_or_else(|| wrong(convert::kind(answer)))?;
    if list.is_empty() {
        return Err(wrong("an empty list".into()));
    }
    let one = |(i, item): (usize, &Dynamic)| -> Result<Row> {
        let row = row(item).map_err(|_| wrong(format!("{} as row {i}", convert::kind(item))))?;
        Ok(match system {
            Some(system) => with_system(&row, system),
            None => row,
        })
    };
    list.iter().enumerate().map(one).collect()
}

/// A row whose prompt is text as a conversation that begins with the system's words.
fn with_system(row: &Row, system: &str) -> Row {
    match (row.prompt(), row.messages()) {
        (Ok(prompt), None) => {
            let mut fields = (*row.fields).clone();
            let messages = json!([
                { "role": "system", "content": system },
                { "role": "user", "content": prompt },
            ]);
            fields.insert("messages".into(), messages);
            Row::new(fields)
        }
        _ => row.clone(),
    }
}

/// What a task is asked for.
struct Wanted {
    split: String,
    seed: INT,
    system_prompt: bool,
}

impl Wanted {
    fn read(s: &mut Settings) -> Result<Self> {
        let mut wanted = Self {
            split: "train".into(),
            seed: 0,
            system_prompt: true,
        };
        if let Some(split) = s.string("split")? {
            wanted.split = split;
        }
        if let Some(seed) = s.integer("seed")? {
            wanted.seed = seed;
        }
        s.boolean("system_prompt", &mut wanted.system_prompt)?;
        Ok(wanted)
    }

    fn system(&self, script: &LiveScript, path: &str) -> Result<Option<String>> {
        if !(self.system_prompt && script.has("system_prompt", 0)) {
            return Ok(None);
        }
        let answer = script.call("system_prompt", Vec::new())?;
        let kind = convert::kind(&answer);
        answer.into_string().map(Some).map_err(|_| {
            let found = format!("{kind} from `system_prompt` of {path}");
            Error::value("task", found, "a string")
        })
    }
}

#[export_module]
mod functions {
    /// The rows of a task script, of its training split.
    #[rhai_fn(name = "task", return_raw)]
    pub fn task_plain(ctx: NativeCallContext, script: &str) -> Answer<Dataset> {
        task(ctx, script, Map::new())
    }

    /// The rows of a task script, a file that keeps data and reward together: those that its
    /// `fn examples(split, seed)` answers. Settings: `split` (`"train"`), `seed` (0), `system_prompt`
    /// (true: a row whose prompt is text becomes a conversation that begins with what
    /// `fn system_prompt()` answers, if the script has one). The script's path is the reward.
    ///
    /// ```rhai
    /// let train = data::task("datasets/arithmetic.rhai", #{ split: "train", seed: 1 });
    /// let test = data::task("datasets/arithmetic.rhai", #{ split: "test", seed: 1 });
    /// assert(train.len() > test.len());
    /// assert_eq(train.columns, ["answer", "level", "prompt"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn task(ctx: NativeCallContext, script: &str, settings: Map) -> Answer<Dataset> {
        let wanted = Settings::read(&ctx, "task", settings, Wanted::read)?;
        let contract = ("examples", 2, "fn examples(split, seed)");
        let live = LiveScript::open(&ctx, Path::new(script), contract, false)?;
        let system = wanted.system(&live, script).at(&ctx)?;
        let args = vec![wanted.split.clone().into(), wanted.seed.into()];
        let answer = live.call("examples", args).at(&ctx)?;
        let rows = rows_of(script, "examples", &answer, system.as_deref());
        rows.map(Dataset::new).at(&ctx)
    }

    /// The stages of a task script, of seed 0.
    #[rhai_fn(name = "stages", return_raw)]
    pub fn stages_plain(ctx: NativeCallContext, script: &str) -> Answer<List> {
        stages(ctx, script, Map::new())
    }

    /// The stages of a task script, a list of datasets for `data::curriculum`: what its
    /// `fn stages(seed)` answers. Settings: `seed` and `system_prompt`, as of `data::task`.
    ///
    /// ```rhai
    /// let stages = data::stages("datasets/arithmetic.rhai", #{ seed: 1 });
    /// let curriculum = data::curriculum(stages, #{ advance_at: 0.9 });
    /// assert_eq(curriculum.stages.len(), 4);
    /// assert_eq(stages[2][0].level, 3);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn stages(ctx: NativeCallContext, script: &str, settings: Map) -> Answer<List> {
        let wanted = Settings::read(&ctx, "stages", settings, Wanted::read)?;
        let contract = ("stages", 1, "fn stages(seed)");
        let live = LiveScript::open(&ctx, Path::new(script), contract, false)?;
        let system = wanted.system(&live, script).at(&ctx)?;
        let answer = live.call("stages", vec![wanted.seed.into()]).at(&ctx)?;
        let list = answer.read_lock::<List>().ok_or_else(|| {
            let found = format!("{} from `stages` of {script}", convert::kind(&answer));
            Error::value("task", found, "a list of lists of rows")
        });
        let dataset = |(i, stage): (usize, &Dynamic)| {
            let rows = rows_of(script, &format!("stages, {i},"), stage, system.as_deref());
            rows.map(|rows| Dynamic::from(Dataset::new(rows)))
        };
        let each: Result<List> = list.at(&ctx)?.iter().enumerate().map(dataset).collect();
        each.at(&ctx)
    }
}
