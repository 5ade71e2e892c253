//! Generation for scripts: prompts in their several forms, settings, streaming.

use super::cache::{Cache, kind};
use super::completion::Completion;
use super::convert::{self, to_json};
use super::error::callback;
use super::model::Model;
use super::sampling::{penalty_settings, sampler_settings};
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::generate::{
    self, Draft, EngineSettings, GenerateSettings, Generated, Observer, Request, Silent,
    Speculation, Stops,
};
use crate::mlx::random;
use crate::rl;
use crate::text::{LanguageModel, TemplateOptions, before_stop};
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

/// Strings that end a completion: a list, or one.
pub fn stop_strings(s: &mut Settings) -> Result<Vec<String>> {
    let Some(value) = s.take("stop") else {
        return Ok(Vec::new());
    };
    let list = match value.clone().try_cast::<List>() {
        Some(list) => list,
        None => vec![value.clone()],
    };
    let text = |item: Dynamic| item.into_string().ok().filter(|text| !text.is_empty());
    let strings: Option<Vec<String>> = list.into_iter().map(text).collect();
    let found = || convert::found(&value);
    strings.ok_or_else(|| Error::setting("stop", found(), "a list of strings that are not empty"))
}

/// How rows share the work, in generation and in training.
pub fn engine_settings(s: &mut Settings, into: &mut EngineSettings) -> Result<()> {
    s.count("prefill_step_size", &mut into.prefill_step_size)?;
    s.count("max_batch_size", &mut into.max_batch_size)
}

/// Where drafts come from, as a script says it.
#[derive(Clone)]
enum DraftSetting {
    Model(Model),
    Ngram,
}

/// What a script asks for in one map.
struct Asked {
    settings: GenerateSettings,
    template: TemplateOptions,
    stop: Vec<String>,
    draft: Option<DraftSetting>,
    num_draft_tokens: usize,
    ngram_size: usize,
    /// A cache to continue.
    cache: Option<Cache>,
    /// Whether `max_tokens` was left to us.
    is_open_ended: bool,
}

impl Asked {
    fn read(model: &LanguageModel, map: Map) -> Result<Self> {
        let mut s = Settings::new("generate", map);
        let mut asked = Self {
            settings: GenerateSettings {
                stop_token_ids: model.eos_token_ids.clone(),
                ..GenerateSettings::default()
            },
            template: TemplateOptions {
                add_generation_prompt: true,
                ..TemplateOptions::default()
            },
            stop: Vec::new(),
            draft: None,
            num_draft_tokens: 3,
            ngram_size: 3,
            cache: None,
            is_open_ended: false,
        };
        template_options(&mut s, &mut asked.template)?;
        let settings = &mut asked.settings;
        settings.sampler.xtc_special_tokens = special_tokens(model);
        sampler_settings(&mut s, &mut settings.sampler)?;
        penalty_settings(&mut s, &mut settings.penalties)?;
        let max_tokens = s.integer("max_tokens")?;
        asked.is_open_ended = max_tokens.is_none();
        if let Some(n) = max_tokens {
            let wrong = |_| Error::setting("max_tokens", n, "at least 1");
            settings.max_tokens = usize::try_from(n).map_err(wrong)?;
        }
        s.count("num_samples", &mut settings.num_samples)?;
        engine_settings(&mut s, &mut settings.engine)?;
        if let Some(ids) = s.ids("stop_token_ids")? {
            model.network.check_ids(&ids)?;
            settings.stop_token_ids = ids;
        }
        let seed = s.integer("seed")?.map(|seed| seed as u64);
        settings.seed = seed.unwrap_or_else(random::fresh_seed);
        asked.stop = stop_strings(&mut s)?;
        asked.read_cache(model, &mut s)?;
        asked.read_draft(&mut s)?;
        s.finish()?;
        asked.settings.check()?;
        Ok(asked)
    }

    /// `cache`: a map as for `new_cache`, or a cache to continue.
    fn read_cache(&mut self, model: &LanguageModel, s: &mut Settings) -> Result<()> {
        let Some(value) = s.take("cache") else {
            return Ok(());
        };
        if let Some(cache) = value.clone().try_cast::<Cache>() {
            self.cache = Some(cache);
            return Ok(());
        }
        let wrong = || {
            let expected = "a map as for `new_cache`, or a cache to continue";
            Error::setting("cache", convert::brief(&value), expected)
        };
        let map = value.clone().try_cast::<Map>().ok_or_else(wrong)?;
        let mut inner = Settings::new("cache", map);
        self.settings.engine.cache = kind(&mut inner, model.network.config.head_dim)?;
        inner.finish()
    }

    /// `draft_model`: a model, or `"ngram"`.
    fn read_draft(&mut self, s: &mut Settings) -> Result<()> {
        s.count("num_draft_tokens", &mut self.num_draft_tokens)?;
        s.count("ngram_size", &mut self.ngram_size)?;
        let Some(value) = s.take("draft_model") else {
            return Ok(());
        };
        self.draft = match value.clone().try_cast::<Model>() {
            Some(model) => Some(DraftSetting::Model(model)),
            None if value.to_string() == "ngram" => Some(DraftSetting::Ngram),
            None => {
                let expected = "a model, or \"ngram\" for what the text itself repeats";
                return Err(Error::setting(
                    "draft_model",
                    convert::brief(&value),
                    expected,
                ));
            }
        };
        Ok(())
    }

    /// The requests of one prompt; `first` is the number of its first completion among those that
    /// share a seed.
    fn requests(&self, model: &LanguageModel, ids: &[i32], first: usize) -> Vec<Request> {
        let mut settings = self.settings.clone();
        if self.is_open_ended {
            let longest = model.network.config.max_position_embeddings as usize;
            let room = longest.saturating_sub(ids.len()).max(1);
            settings.max_tokens = settings.max_tokens.min(room);
        }
        settings.requests(ids, first)
    }
}

/// Tokens that XTC leaves alone: those that end a text, and the end of a line.
fn special_tokens(model: &LanguageModel) -> Vec<i32> {
    let mut special = model.eos_token_ids.clone();
    if let Some(tokenizer) = &model.tokenizer
        && let Ok(line_end) = tokenizer.encode_literal("\n")
    {
        special.extend(line_end);
    }
    // A configuration may name an end token that a small vocabulary does not have.
    special.retain(|id| (0..model.network.config.vocab_size).contains(id));
    special
}

/// The settings of each prompt: one map for all, or a list with one for each.
fn settings_of(model: &LanguageModel, settings: Dynamic, prompts: usize) -> Result<Vec<Asked>> {
    if let Some(map) = settings.clone().try_cast::<Map>() {
        return Ok(vec![Asked::read(model, map)?]);
    }
    let list = settings.clone().try_cast::<List>().unwrap_or_default();
    if list.len() != prompts || prompts == 0 {
        let found = convert::found(&settings);
        let expected = format!("a map, or a list with a map for each of the {prompts} prompts");
        return Err(Error::value("settings", found, &expected));
    }
    let asked = list.into_iter().map(|item| {
        let wrong = || Error::value("settings", "no map", "a map for each prompt");
        Asked::read(model, item.try_cast::<Map>().ok_or_else(wrong)?)
    });
    let asked: Vec<Asked> = asked.collect::<Result<_>>()?;
    let first = &asked[0];
    let differs = |other: &Asked| {
        let drafts = other.draft.is_some() || first.draft.is_some();
        other.settings.engine != first.settings.engine || other.cache.is_some() || drafts
    };
    if asked[1..].iter().any(differs) {
        let expected = "in all maps the same `cache`, `prefill_step_size` and `max_batch_size`, and \
                        no `draft_model`";
        return Err(Error::value(
            "settings",
            "ways of working that differ",
            expected,
        ));
    }
    Ok(asked)
}

/// What is told of the pieces of the first completion.
pub type Show<'a> = Box<dyn FnMut(&str) -> Result<()> + 'a>;

/// Completions of each prompt: one list for each. Settings are a map, or a list with one for each
/// prompt.
pub fn complete(
    model: &Model,
    prompts: &[Dynamic],
    settings: Dynamic,
    show: Option<Show>,
) -> Result<Vec<Vec<Completion>>> {
    let model = model.0.borrow();
    let asked = settings_of(&model, settings, prompts.len())?;
    // 1. The requests, with the strings that end each.
    let (mut requests, mut stops, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (i, prompt) in prompts.iter().enumerate() {
        let own = asked.get(i).unwrap_or(&asked[0]);
        let ids = prompt_ids(&model, prompt, &own.template)?;
        let first = if asked.len() > 1 { 0 } else { requests.len() };
        let of_prompt = own.requests(&model, &ids, first);
        counts.push(of_prompt.len());
        stops.extend(of_prompt.iter().map(|_| own.stop.clone()));
        requests.extend(of_prompt);
    }
    // 2. Their completions.
    let listens = show.is_some() || stops.iter().any(|stop| !stop.is_empty());
    let generated = match listens {
        false => run(&model, &requests, &asked[0], &mut Silent)?,
        true => {
            let mut observer = Stops::new(model.tokenizer()?, stops.clone());
            if let Some(mut show) = show {
                observer = observer.showing(move |piece| show(piece));
            }
            let generated = run(&model, &requests, &asked[0], &mut observer)?;
            observer.finish()?;
            generated
        }
    };
    // 3. As text.
    let mut completions = generated.into_iter().zip(stops).map(|(one, stop)| {
        let text = match &model.tokenizer {
            Some(tokenizer) => tokenizer.decode(&one.token_ids)?,
            None => String::new(),
        };
        let text = before_stop(&text, &stop).to_string();
        Ok(Completion::new(rl::Completion::new(one, text)))
    });
    let list = |count| completions.by_ref().take(count).collect();
    counts.into_iter().map(list).collect()
}

/// The driver that fits what was asked for.
fn run(
    model: &LanguageModel,
    requests: &[Request],
    asked: &Asked,
    observer: &mut dyn Observer,
) -> Result<Vec<Generated>> {
    let (network, engine) = (&model.network, &asked.settings.engine);
    if let Some(cache) = &asked.cache {
        let [request] = requests else {
            let found = format!("{} completions", requests.len());
            let expected = "one: a cache holds one text";
            return Err(Error::setting("cache", found, expected));
        };
        if asked.draft.is_some() {
            let expected = "no `draft_model` beside it";
            return Err(Error::setting("cache", "a cache to continue", expected));
        }
        let step = engine.prefill_step_size;
        let done = cache
            .with(|cache| generate::continue_cache(network, cache, request, step, observer))?;
        return Ok(vec![done]);
    }
    let num_draft_tokens = asked.num_draft_tokens;
    let mut with_draft = |draft: Draft| {
        let how = Speculation {
            draft,
            num_draft_tokens,
        };
        generate::speculate(network, requests, &how, engine, observer)
    };
    match &asked.draft {
        None => generate::complete(network, requests, engine, observer),
        Some(DraftSetting::Ngram) => with_draft(Draft::Ngram {
            longest: asked.ngram_size,
        }),
        Some(DraftSetting::Model(small)) => with_draft(Draft::Model(&small.0.borrow().network)),
    }
}

/// One completion, or a list where several were asked for.
pub fn one_or_list(mut list: Vec<Completion>) -> Dynamic {
    if list.len() == 1 {
        return Dynamic::from(list.remove(0));
    }
    list.into_iter().map(Dynamic::from).collect::<List>().into()
}

/// Passes pieces of text on to a closure.
pub fn pieces<'a>(ctx: &'a NativeCallContext<'a>, f: FnPtr) -> Show<'a> {
    Box::new(move |piece| {
        let piece = Dynamic::from(piece.to_string());
        let answer: std::result::Result<Dynamic, _> = f.call_raw(ctx, None, [piece]);
        answer.map(drop).map_err(callback)
    })
}
