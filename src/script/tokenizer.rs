//! The `Tokenizer` type.

use super::convert;
use super::error::{Answer, At};
use super::generate::template_options;
use super::settings::Settings;
use crate::text::{self, TemplateOptions};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, INT, Map, NativeCallContext};
use std::rc::Rc;

/// A tokenizer as a script's value.
#[derive(Clone, Debug)]
pub struct Tokenizer(pub Rc<text::Tokenizer>);

/// Registers the type.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<Tokenizer>("Tokenizer");
    global.combine(exported_module!(members));
    let show = |t: &mut Tokenizer| format!("Tokenizer of {} tokens", t.0.vocab_size());
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

fn list(ids: Vec<i32>) -> List {
    ids.into_iter().map(|id| INT::from(id).into()).collect()
}

#[export_module]
mod members {
    /// The token ids of a text, as a list; special tokens in it are recognised.
    #[rhai_fn(global, name = "encode", pure, return_raw)]
    pub fn encode_plain(ctx: NativeCallContext, t: &mut Tokenizer, text: &str) -> Answer<List> {
        encode(ctx, t, text, Map::new())
    }

    /// The token ids of a text, as a list; nothing is added to the text. Settings:
    /// `split_special_tokens` (false), whether the names of special tokens are text like any other.
    ///
    /// ```rhai
    /// let t = lm::char_tokenizer("0123456789+=<eos>");
    /// assert_eq(t.encode("1+2=<eos>"), [3, 12, 4, 13, 1]);
    /// let literal = t.encode("1<eos>", #{ split_special_tokens: true });
    /// assert_eq(literal.len(), 6);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn encode(
        ctx: NativeCallContext,
        t: &mut Tokenizer,
        text: &str,
        settings: Map,
    ) -> Answer<List> {
        let literal = Settings::read(&ctx, "encode", settings, |s| {
            s.choice("split_special_tokens")
        })?;
        let ids = match literal {
            Some(true) => t.0.encode_literal(text),
            _ => t.0.encode(text),
        };
        Ok(list(ids.at(&ctx)?))
    }

    /// A list of messages as the text that the model was trained on, with the default settings.
    #[rhai_fn(global, name = "apply_chat_template", pure, return_raw)]
    pub fn apply_plain(
        ctx: NativeCallContext,
        t: &mut Tokenizer,
        messages: List,
    ) -> Answer<Dynamic> {
        apply_chat_template(ctx, t, messages, Map::new())
    }

    /// A list of messages, `#{ role, content }`, as the text that the model was trained on, by its
    /// chat template. Settings: `tools` (a list of maps), `add_generation_prompt` (false),
    /// `enable_thinking`, `chat_template_kwargs` (other variables of the template), `tokenize`
    /// (false; with true the ids, in which special tokens come from the template alone).
    ///
    /// ```rhai
    /// let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    /// let t = lm::char_tokenizer("0123456789+=", #{ chat_template: template });
    /// assert_eq(t.apply_chat_template([#{ role: "user", content: "1+2=" }]), "user: 1+2=\n");
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn apply_chat_template(
        ctx: NativeCallContext,
        t: &mut Tokenizer,
        messages: List,
        settings: Map,
    ) -> Answer<Dynamic> {
        let (options, tokenize) = Settings::read(&ctx, "apply_chat_template", settings, |s| {
            let mut options = TemplateOptions::default();
            template_options(s, &mut options)?;
            s.boolean("add_generation_prompt", &mut options.add_generation_prompt)?;
            Ok((options, s.choice("tokenize")?))
        })?;
        let messages = convert::to_json(&messages.into()).at(&ctx)?;
        match tokenize {
            Some(true) => {
                let ids = t.0.encode_messages(&messages, &options).at(&ctx)?;
                Ok(list(ids).into())
            }
            _ => Ok(t.0.render(&messages, &options).at(&ctx)?.into()),
        }
    }

    /// The text of a list or tensor of token ids, without special tokens.
    ///
    /// ```rhai
    /// let t = lm::char_tokenizer("0123456789+=");
    /// assert_eq(t.decode([3, 12, 4, 13, 1]), "1+2=");
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn decode(ctx: NativeCallContext, t: &mut Tokenizer, ids: Dynamic) -> Answer<String> {
        convert::ids(&ids).and_then(|ids| t.0.decode(&ids)).at(&ctx)
    }

    /// The number of tokens, special ones included.
    ///
    /// ```rhai
    /// let t = lm::char_tokenizer("0123456789+=");
    /// assert_eq(t.vocab_size, 14);
    /// ```
    #[rhai_fn(global, get = "vocab_size", pure)]
    pub fn vocab_size(t: &mut Tokenizer) -> INT {
        t.0.vocab_size().into()
    }

    /// The ids that end a text, as a list.
    ///
    /// ```rhai
    /// let t = lm::char_tokenizer("0123456789+=");
    /// assert_eq(t.eos_token_ids, [1]);
    /// ```
    #[rhai_fn(global, get = "eos_token_ids", pure)]
    pub fn eos_token_ids(t: &mut Tokenizer) -> List {
        let id = t.0.eos_token_id();
        id.into_iter().map(|id| INT::from(id).into()).collect()
    }

    /// The token of an id as text, or `()` where there is no such id.
    ///
    /// ```rhai
    /// let t = lm::char_tokenizer("0123456789+=");
    /// assert_eq(t.token(12), "+");
    /// assert_eq(t.token(99), ());
    /// ```
    #[rhai_fn(global, pure)]
    pub fn token(t: &mut Tokenizer, id: INT) -> Dynamic {
        let token = i32::try_from(id).ok().and_then(|id| t.0.token(id));
        token.map_or(Dynamic::UNIT, Dynamic::from)
    }
}
