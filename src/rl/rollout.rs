//! Completions of a step's prompts.

use super::reward::{Completion, RewardOutput};
use crate::data::Row;
use crate::error::Result;
use crate::generate::{Finish, GenerateSettings, Silent, Stops, generate};
use crate::text::{LanguageModel, TemplateOptions, before_stop};
use serde_json::Value;
use std::rc::Rc;

/// Prompts and their completions, the completions of a prompt adjacent.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// One for each prompt.
    pub prompt_ids: Vec<Vec<i32>>,
    /// One for each completion.
    pub outputs: Vec<RewardOutput>,
    pub num_generations: usize,
}

/// A row's prompt as text and as ids. A conversation goes through the chat template, which may be
/// told of the row's `tools` and `chat_template_kwargs`, as in TRL, and of what holds for all rows.
fn encode(
    model: &LanguageModel,
    row: &Row,
    template: &TemplateOptions,
) -> Result<(String, Vec<i32>)> {
    let Some(messages) = row.messages() else {
        let prompt = row.prompt()?;
        return Ok((prompt.to_string(), model.encode_prompt(prompt)?));
    };
    let mut extra = template.extra.clone();
    let own = row.fields.get("chat_template_kwargs");
    extra.extend(own.and_then(Value::as_object).cloned().unwrap_or_default());
    let tools = row.fields.get("tools").or(template.tools.as_ref());
    let options = TemplateOptions {
        tools: tools.cloned(),
        add_generation_prompt: true,
        extra,
    };
    let text = model.tokenizer()?.render(messages, &options)?;
    Ok((text, model.encode_messages(messages, &options)?))
}

impl Rollout {
    /// Samples `settings.num_samples` completions of each row's prompt, all of them together; they
    /// end at the strings `stop`, too.
    pub fn sample(
        model: &LanguageModel,
        rows: &[Row],
        settings: &GenerateSettings,
        stop: &[String],
        template: &TemplateOptions,
    ) -> Result<Self> {
        let prompts: Vec<(String, Vec<i32>)> = rows
            .iter()
            .map(|row| encode(model, row, template))
            .collect::<Result<_>>()?;
        let (prompts, prompt_ids): (Vec<String>, Vec<Vec<i32>>) = prompts.into_iter().unzip();
        let tokenizer = model.tokenizer()?;
        let count = prompt_ids.len() * settings.num_samples;
        let mut stops = Stops::new(tokenizer, vec![stop.to_vec(); count]);
        let generated = match stop.is_empty() {
            true => generate(&model.network, &prompt_ids, settings, &mut Silent)?,
            false => generate(&model.network, &prompt_ids, settings, &mut stops)?,
        };
        let shared: Vec<(Rc<str>, Rc<Row>)> = prompts
            .iter()
            .zip(rows)
            .map(|(prompt, row)| (Rc::from(prompt.as_str()), Rc::new(row.clone())))
            .collect();
        let outputs = generated
            .into_iter()
            .enumerate()
            .map(|(index, generated)| {
                let group = index / settings.num_samples;
                let text = tokenizer.decode(&generated.token_ids)?;
                let text = before_stop(&text, stop).to_string();
                Ok(RewardOutput {
                    prompt: shared[group].0.clone(),
                    completion: Rc::new(Completion::new(generated, text)),
                    example: shared[group].1.clone(),
                    group,
                    index,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            prompt_ids,
            outputs,
            num_generations: settings.num_samples,
        })
    }

    /// Whether somebody asked to stop while it was sampled.
    pub fn interrupted(&self) -> bool {
        self.outputs
            .iter()
            .any(|output| output.completion.finish == Finish::Interrupted)
    }

    /// Keeps the prompts of these numbers with their completions, in this order.
    pub fn keep_groups(&mut self, groups: &[usize]) {
        let size = self.num_generations;
        let of_group = |group: &usize| self.outputs[group * size..(group + 1) * size].to_vec();
        self.outputs = groups.iter().flat_map(of_group).collect();
        self.prompt_ids = groups.iter().map(|g| self.prompt_ids[*g].clone()).collect();
        self.number();
    }

    /// Adds the prompts of another rollout behind these.
    pub fn append(&mut self, other: Self) {
        self.prompt_ids.extend(other.prompt_ids);
        self.outputs.extend(other.outputs);
        self.number();
    }

    fn number(&mut self) {
        for (index, output) in self.outputs.iter_mut().enumerate() {
            (output.index, output.group) = (index, index / self.num_generations);
        }
    }

    /// How many tokens were sampled.
    pub fn num_tokens(&self) -> usize {
        let lengths = self.outputs.iter().map(|o| o.completion.token_ids.len());
        lengths.sum()
    }
}
