//! The `Tokenizer` type.

use super::convert;
use super::error::{Answer, At};
use crate::text;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, INT, NativeCallContext};
use std::rc::Rc;

/// A tokenizer as a script's value.
#[derive(Clone, Debug)]
pub struct Tokenizer(pub Rc<text::Tokenizer>);

/// Registers the type.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Tokenizer>("Tokenizer");
    engine.register_global_module(exported_module!(members).into());
    let show = |t: &mut Tokenizer| format!("Tokenizer of {} tokens", t.0.vocab_size());
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

#[export_module]
mod members {
    /// The token ids of a text, as a list; nothing is added to the text.
    ///
    /// ```rhai
    /// let t = lm::char_tokenizer("0123456789+=");
    /// assert_eq(t.encode("1+2="), [3, 12, 4, 13]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn encode(ctx: NativeCallContext, t: &mut Tokenizer, text: &str) -> Answer<List> {
        let ids = t.0.encode(text).at(&ctx)?;
        Ok(ids.into_iter().map(|id| INT::from(id).into()).collect())
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
