//! Generation for scripts: prompts in their several forms, settings, streaming.

use super::completion::Completion;
use super::convert;
use super::error::callback;
use super::model::Model;
use super::sampling::sampler_settings;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::generate::{GenerateSettings, Observer, generate};
use crate::mlx::random;
use crate::text::LanguageModel;
use rhai::{Array as List, Dynamic, FnPtr, Map, NativeCallContext};

/// The ids of a prompt: a string, or a list or tensor of ids.
fn prompt_ids(model: &LanguageModel, prompt: &Dynamic) -> Result<Vec<i32>> {
    if prompt.is_string() {
        return model.encode_prompt(&prompt.to_string());
    }
    let is_messages = prompt
        .read_lock::<List>()
        .is_some_and(|list| list.first().is_some_and(Dynamic::is_map));
    if is_messages {
        return Err(Error::Unsupported(
            "prompts of messages are not supported; give a string or token ids".into(),
        ));
    }
    let ids = convert::ids(prompt)?;
    model.check_prompt(&ids)?;
    Ok(ids)
}

fn generate_settings(model: &LanguageModel, map: Map) -> Result<GenerateSettings> {
    let mut s = Settings::new("generate", map);
    let mut settings = GenerateSettings {
        stop_token_ids: model.eos_token_ids.clone(),
        ..GenerateSettings::default()
    };
    sampler_settings(&mut s, &mut settings.sampler)?;
    s.count("max_tokens", &mut settings.max_tokens)?;
    s.count("num_samples", &mut settings.num_samples)?;
    s.count("prefill_step_size", &mut settings.prefill_step_size)?;
    if let Some(ids) = s.ids("stop_token_ids")? {
        settings.stop_token_ids = ids;
    }
    let seed = s.integer("seed")?.map(|seed| seed as u64);
    settings.seed = seed.unwrap_or_else(random::fresh_seed);
    s.finish()?;
    settings.check()?;
    Ok(settings)
}

/// Completions of each prompt: one list for each.
pub fn complete(
    model: &Model,
    prompts: &[Dynamic],
    map: Map,
    observer: &mut dyn Observer,
) -> Result<Vec<Vec<Completion>>> {
    let model = model.0.borrow();
    let settings = generate_settings(&model, map)?;
    let ids: Vec<Vec<i32>> = prompts
        .iter()
        .map(|prompt| prompt_ids(&model, prompt))
        .collect::<Result<_>>()?;
    let generated = generate(&model.network, &ids, &settings, observer)?;
    let mut completions = generated.into_iter().map(|one| {
        let text = match &model.tokenizer {
            Some(tokenizer) => tokenizer.decode(&one.token_ids)?,
            None => String::new(),
        };
        Ok(Completion::new(one, text))
    });
    (0..prompts.len())
        .map(|_| completions.by_ref().take(settings.num_samples).collect())
        .collect()
}

/// One completion, or a list where several were asked for.
pub fn one_or_list(mut list: Vec<Completion>) -> Dynamic {
    if list.len() == 1 {
        return Dynamic::from(list.remove(0));
    }
    list.into_iter().map(Dynamic::from).collect::<List>().into()
}

/// Passes new text on to a closure as it comes.
pub struct Pieces<'a> {
    ctx: &'a NativeCallContext<'a>,
    f: FnPtr,
    tokenizer: crate::text::Tokenizer,
    ids: Vec<i32>,
    shown: usize,
}

impl<'a> Pieces<'a> {
    /// Pieces of the first completion, for a closure.
    pub fn new(
        ctx: &'a NativeCallContext<'a>,
        f: FnPtr,
        tokenizer: crate::text::Tokenizer,
    ) -> Self {
        Self {
            ctx,
            f,
            tokenizer,
            ids: Vec::new(),
            shown: 0,
        }
    }

    /// Passes on what was held back, when no more will come.
    pub fn finish(mut self) -> Result<()> {
        let text = self.tokenizer.decode(&self.ids)?;
        self.show(&text)
    }

    fn show(&mut self, text: &str) -> Result<()> {
        // What was shown may not be the beginning of what is: some decoders tidy up spaces.
        let Some(piece) = text.get(self.shown..).filter(|piece| !piece.is_empty()) else {
            return Ok(());
        };
        self.shown = text.len();
        let piece = Dynamic::from(piece.to_string());
        let answer: std::result::Result<Dynamic, _> = self.f.call_raw(self.ctx, None, [piece]);
        answer.map(drop).map_err(callback)
    }
}

impl Observer for Pieces<'_> {
    fn token(&mut self, row: usize, id: i32) -> Result<()> {
        if row > 0 {
            return Ok(());
        }
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids)?;
        // An unfinished character is held back until its last byte has come.
        match text.ends_with('\u{fffd}') {
            true => Ok(()),
            false => self.show(&text),
        }
    }
}
