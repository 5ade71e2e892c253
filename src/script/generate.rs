//! Generation for scripts: prompts in their several forms, settings, streaming.

use super::completion::Completion;
use super::convert::{self, to_json};
use super::error::callback;
use super::model::Model;
use super::sampling::sampler_settings;
use super::settings::Settings;
use crate::error::Result;
use crate::generate::{GenerateSettings, Observer, generate};
use crate::mlx::random;
use crate::text::{LanguageModel, StreamDecoder, TemplateOptions};
use rhai::{Array as List, Dynamic, FnPtr, Map, NativeCallContext};
use serde_json::Value;

/// The ids of a prompt: a string, a list of messages, or a list or tensor of ids.
fn prompt_ids(
    model: &LanguageModel,
    prompt: &Dynamic,
    options: &TemplateOptions,
) -> Result<Vec<i32>> {
    if prompt.is_string() {
        return model.encode_prompt(&prompt.to_string());
    }
    let is_messages = prompt
        .read_lock::<List>()
        .is_some_and(|list| list.first().is_some_and(Dynamic::is_map));
    if is_messages {
        return model.encode_messages(&to_json(prompt)?, options);
    }
    let ids = convert::ids(prompt)?;
    model.check_prompt(&ids)?;
    Ok(ids)
}

/// What a chat template is told: `tools`, `enable_thinking` and other variables of the template.
pub fn template_options(s: &mut Settings, options: &mut TemplateOptions) -> Result<()> {
    if let Some(tools) = s.value::<List>("tools", "a list of maps that describe tools")? {
        options.tools = Some(to_json(&tools.into())?);
    }
    if let Some(variables) = s.value::<Map>("chat_template_kwargs", "a map")?
        && let Value::Object(variables) = to_json(&variables.into())?
    {
        options.extra = variables;
    }
    if let Some(thinking) = s.choice("enable_thinking")? {
        options
            .extra
            .insert("enable_thinking".into(), thinking.into());
    }
    Ok(())
}

fn generate_settings(
    model: &LanguageModel,
    map: Map,
) -> Result<(GenerateSettings, TemplateOptions)> {
    let mut s = Settings::new("generate", map);
    let mut options = TemplateOptions {
        add_generation_prompt: true,
        ..TemplateOptions::default()
    };
    template_options(&mut s, &mut options)?;
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
    Ok((settings, options))
}

/// Completions of each prompt: one list for each.
pub fn complete(
    model: &Model,
    prompts: &[Dynamic],
    map: Map,
    observer: &mut dyn Observer,
) -> Result<Vec<Vec<Completion>>> {
    let model = model.0.borrow();
    let (settings, options) = generate_settings(&model, map)?;
    let ids: Vec<Vec<i32>> = prompts
        .iter()
        .map(|prompt| prompt_ids(&model, prompt, &options))
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
    decoder: StreamDecoder,
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
            decoder: StreamDecoder::new(tokenizer),
        }
    }

    /// Passes on what was held back, when no more will come.
    pub fn finish(mut self) -> Result<()> {
        let rest = self.decoder.finish()?;
        self.show(rest)
    }

    fn show(&mut self, piece: String) -> Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        let piece = Dynamic::from(piece);
        let answer: std::result::Result<Dynamic, _> = self.f.call_raw(self.ctx, None, [piece]);
        answer.map(drop).map_err(callback)
    }
}

impl Observer for Pieces<'_> {
    fn token(&mut self, row: usize, id: i32) -> Result<()> {
        if row > 0 {
            return Ok(());
        }
        let piece = self.decoder.push(id)?;
        self.show(piece)
    }
}
