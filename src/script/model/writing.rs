//! What a model writes.

use super::Model;
use crate::script::error::{Answer, At};
use crate::script::generate::{complete, one_or_list, pieces};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, FnPtr, Map, NativeCallContext};

/// Registers the members.
pub fn register(global: &mut Module) {
    global.combine(exported_module!(members));
}

#[export_module]
mod members {
    /// Completes a prompt: a string, a list of messages, or a list of token ids.
    #[rhai_fn(global, name = "generate", pure, return_raw)]
    pub fn generate_plain(
        ctx: NativeCallContext,
        m: &mut Model,
        prompt: Dynamic,
    ) -> Answer<Dynamic> {
        generate_with(ctx, m, prompt, Map::new())
    }

    /// Completes a prompt, a string, a list of messages or a list of token ids: a `Completion`, or a
    /// list of them where `num_samples` is above 1.
    ///
    /// Settings of the draw: `temperature` (1; 0 is greedy), `top_p`, `top_k`, `min_p`,
    /// `min_tokens_to_keep`, `xtc_probability`, `xtc_threshold`, `xtc_special_tokens`,
    /// `repetition_penalty`, `presence_penalty`, `frequency_penalty` (each with its `.._context_size`,
    /// 20; 0 is everything), `logit_bias`, `seed`. Of the end: `max_tokens` (256), `stop` (strings),
    /// `stop_token_ids` (the model's). Of the work: `num_samples`, `max_batch_size` (256),
    /// `prefill_step_size` (2048), `cache` (a map as for `new_cache`, or a cache to continue),
    /// `draft_model` (a model with the same tokens, or `"ngram"` for what the text repeats) with
    /// `num_draft_tokens` (3) and `ngram_size` (3). Of messages: `tools`, `enable_thinking`,
    /// `chat_template_kwargs`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let c = model.generate("1+2=", #{ max_tokens: 4, temperature: 0.8, seed: 3 });
    /// assert(c.num_tokens <= 4);
    /// assert_eq(model.generate([3, 12], #{ max_tokens: 2, num_samples: 3, seed: 3 }).len(), 3);
    /// ```
    #[rhai_fn(global, name = "generate", pure, return_raw)]
    pub fn generate_with(
        ctx: NativeCallContext,
        m: &mut Model,
        prompt: Dynamic,
        settings: Map,
    ) -> Answer<Dynamic> {
        let mut lists = complete(m, &[prompt], settings.into(), None).at(&ctx)?;
        Ok(one_or_list(lists.remove(0)))
    }

    /// The model's turn in a conversation, with the default settings.
    #[rhai_fn(global, name = "chat", pure, return_raw)]
    pub fn chat_plain(ctx: NativeCallContext, m: &mut Model, messages: List) -> Answer<Dynamic> {
        generate_with(ctx, m, messages.into(), Map::new())
    }

    /// The model's turn in a conversation, a list of `#{ role, content }`, by its chat template: a
    /// `Completion`, whose `tool_calls` are parsed. Settings as for `generate`, among them `tools`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let template = "{% for m in messages %}{{ m.content }}{% endfor %}=";
    /// let t = lm::char_tokenizer("0123456789+=", #{ chat_template: template });
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: t });
    /// let settings = #{ max_tokens: 4, temperature: 0 };
    /// let c = model.chat([#{ role: "user", content: "1+2" }], settings);
    /// assert_eq(c.token_ids, model.generate("1+2=", settings).token_ids);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn chat(
        ctx: NativeCallContext,
        m: &mut Model,
        messages: List,
        settings: Map,
    ) -> Answer<Dynamic> {
        generate_with(ctx, m, messages.into(), settings)
    }

    /// Completes several prompts together, with the settings of `generate` in one map for all, or in
    /// a list with a map for each: a list with what `generate` gives for each prompt. With a `seed`
    /// in its own map a prompt gets the same tokens as alone.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let settings = #{ max_tokens: 4, temperature: 0 };
    /// let list = model.generate_batch(["1+2=", "3="], settings);
    /// assert_eq(list[1].token_ids, model.generate("3=", settings).token_ids);
    /// let each = [#{ seed: 1, max_tokens: 3 }, #{ seed: 2, top_k: 2, max_tokens: 5 }];
    /// let list = model.generate_batch(["1+2=", "3="], each);
    /// assert_eq(list[1].token_ids, model.generate("3=", each[1]).token_ids);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn generate_batch(
        ctx: NativeCallContext,
        m: &mut Model,
        prompts: List,
        settings: Dynamic,
    ) -> Answer<List> {
        let lists = complete(m, &prompts, settings, None).at(&ctx)?;
        Ok(lists.into_iter().map(one_or_list).collect())
    }

    /// Completes several prompts together with the default settings.
    #[rhai_fn(global, name = "generate_batch", pure, return_raw)]
    pub fn generate_batch_plain(
        ctx: NativeCallContext,
        m: &mut Model,
        prompts: List,
    ) -> Answer<List> {
        generate_batch(ctx, m, prompts, Map::new().into())
    }

    /// Completes a prompt, with the settings of `generate`, and gives each piece of text to a
    /// closure as it comes. What it gives back is what `generate` does.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let pieces = "";
    /// let settings = #{ max_tokens: 4, temperature: 0 };
    /// let c = model.stream("1+2=", settings, |piece| pieces += piece);
    /// assert_eq(pieces, c.raw_text);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn stream(
        ctx: NativeCallContext,
        m: &mut Model,
        prompt: Dynamic,
        settings: Map,
        f: FnPtr,
    ) -> Answer<Dynamic> {
        let show = pieces(&ctx, f);
        let mut lists = complete(m, &[prompt], settings.into(), Some(show)).at(&ctx)?;
        Ok(one_or_list(lists.remove(0)))
    }
}
