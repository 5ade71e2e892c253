//! The weights of a model: looking at them, packing them, adding to them, writing them.

use super::Model;
use crate::checkpoint::ModelDir;
use crate::mlx::quantized::Format;
use crate::models::SHARD_BYTES;
use crate::nn::Params;
use crate::script::error::{Answer, At};
use crate::script::settings::Settings;
use crate::script::tensor::Tensor;
use crate::script::train::lora_settings;
use rhai::plugin::*;
use rhai::{Dynamic, Map, NativeCallContext};
use std::path::Path;

/// Registers the members.
pub fn register(global: &mut Module) {
    global.combine(exported_module!(members));
}

#[export_module]
mod members {
    /// All weights, as a map of checkpoint name to tensor.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let weights = model.parameters();
    /// assert_eq(weights["model.embed_tokens.weight"].shape, [14, 16]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn parameters(ctx: NativeCallContext, m: &mut Model) -> Answer<Map> {
        let named = m.0.borrow().network.parameters().at(&ctx)?;
        let tensor = |(name, array): (String, _)| (name.into(), Tensor::new(array));
        let tensors = named.into_iter().map(tensor);
        Ok(tensors.map(|(name, t)| (name, Dynamic::from(t))).collect())
    }

    /// The tensor of one weight, by its checkpoint name.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// assert_eq(model.parameter("model.norm.weight"), mx::ones([16]));
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn parameter(ctx: NativeCallContext, m: &mut Model, name: &str) -> Answer<Tensor> {
        let found = m.0.borrow().network.parameter(name);
        found.map(Tensor::new).at(&ctx)
    }

    /// Replaces one weight by a tensor of the same shape; it takes the weight's element type.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// model.set_parameter("model.norm.weight", mx::ones([16]) * 2.0);
    /// assert_eq(model.parameter("model.norm.weight"), mx::full([16], 2.0));
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn set_parameter(
        ctx: NativeCallContext,
        m: &mut Model,
        name: &str,
        value: Tensor,
    ) -> Answer<()> {
        let set = || m.change()?.network.set_parameter(name, &value.0);
        set().at(&ctx)
    }

    /// Writes the model, and its tokenizer if it has one, to a folder in Hugging Face layout.
    #[rhai_fn(global, name = "save", pure, return_raw)]
    pub fn save_plain(ctx: NativeCallContext, m: &mut Model, path: &str) -> Answer<()> {
        save(ctx, m, path, Map::new())
    }

    /// Writes the model, and its tokenizer if it has one, to a folder in Hugging Face layout, which
    /// is made if it is not there; transformers and mlx-lm load it. Adapters are merged into what
    /// is written. Settings: `max_shard_size` (5 GB), the bytes of one file of weights.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// model.save("target/examples/save", #{ max_shard_size: 4000 });
    /// let loaded = lm::load("target/examples/save");
    /// assert_close(loaded.forward([3, 12]), model.forward([3, 12]), 1e-6);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn save(ctx: NativeCallContext, m: &mut Model, path: &str, settings: Map) -> Answer<()> {
        let bytes = Settings::read(&ctx, "save", settings, |s| {
            let mut bytes = SHARD_BYTES;
            s.count("max_shard_size", &mut bytes)?;
            Ok(bytes)
        })?;
        m.0.borrow().save_sharded(Path::new(path), bytes).at(&ctx)
    }

    /// Puts every linear map and the embedding into 4 bits, in groups of 64.
    #[rhai_fn(global, name = "quantize", pure, return_raw)]
    pub fn quantize_plain(ctx: NativeCallContext, m: &mut Model) -> Answer<()> {
        quantize(ctx, m, Map::new())
    }

    /// Puts every linear map and the embedding into few bits, in place, as mlx-lm does; those whose
    /// rows the groups do not divide stay whole. Settings: `bits` (4; 2, 3, 4, 5, 6 or 8),
    /// `group_size` (64; 32, 64 or 128), `mode` (`"affine"`, `"mxfp4"`, `"mxfp8"`, `"nvfp4"`).
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 64, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let before = model.forward([3, 12]);
    /// model.quantize(#{ bits: 8, group_size: 32 });
    /// assert_eq(model.config.quantization.bits, 8);
    /// assert_close(model.forward([3, 12]), before, 0.01);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn quantize(ctx: NativeCallContext, m: &mut Model, settings: Map) -> Answer<()> {
        let format = Settings::read(&ctx, "quantize", settings, |s| {
            let whole = |number: Option<i64>| number.map(|n| i32::try_from(n).unwrap_or(i32::MAX));
            let (bits, group) = (s.integer("bits")?, s.integer("group_size")?);
            let mode = s.string("mode")?.unwrap_or("affine".into());
            Ok(Format::new(&mode, whole(group), whole(bits)))
        })?;
        m.change()
            .and_then(|mut model| model.network.quantize(&format))
            .at(&ctx)
    }

    /// Adds low-rank adapters to every linear map, of rank 8.
    #[rhai_fn(global, name = "add_lora", pure, return_raw)]
    pub fn add_lora_plain(ctx: NativeCallContext, m: &mut Model) -> Answer<()> {
        add_lora(ctx, m, Map::new())
    }

    /// Adds low-rank adapters (Hu et al. 2021); from then on a trainer trains them and nothing
    /// else. They change nothing before. Settings, with the defaults of mlx-lm: `rank` (8), `scale`
    /// (20; a factor, not divided by the rank), `dropout` (0), `targets` (names of layers such as
    /// `"q_proj"`; all), `layers` (how many blocks, counted from the last; -1, all), `seed`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let before = model.forward([3, 12]);
    /// model.add_lora(#{ rank: 4, targets: ["q_proj", "v_proj"] });
    /// assert_eq(model.parameter("model.layers.0.self_attn.q_proj.lora_a").shape, [16, 4]);
    /// assert_eq(model.forward([3, 12]), before);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn add_lora(ctx: NativeCallContext, m: &mut Model, settings: Map) -> Answer<()> {
        let settings = Settings::read(&ctx, "add_lora", settings, lora_settings)?;
        m.change()
            .and_then(|mut model| model.network.add_lora(&settings))
            .at(&ctx)
    }

    /// Makes the adapters part of the weights: the model computes the same, and has none. Weights
    /// in few bits are put into as few again, which rounds.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// model.add_lora(#{ rank: 4, targets: ["q_proj"] });
    /// let name = "model.layers.0.self_attn.q_proj.lora_b";
    /// model.set_parameter(name, mx::ones(model.parameter(name).shape));
    /// let before = model.forward([3, 12]);
    /// model.merge_lora();
    /// assert(!model.parameters().contains(name));
    /// assert_close(model.forward([3, 12]), before, 1e-4);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn merge_lora(ctx: NativeCallContext, m: &mut Model) -> Answer<()> {
        let mut model = m.change().at(&ctx)?;
        model.network = model.network.merge_adapters().at(&ctx)?;
        Ok(())
    }

    /// Takes the adapters away: the model is what it was before they were added.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let names = model.parameters().keys();
    /// model.add_lora(#{ rank: 4 });
    /// model.remove_lora();
    /// assert_eq(model.parameters().keys(), names);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn remove_lora(ctx: NativeCallContext, m: &mut Model) -> Answer<()> {
        let mut model = m.change().at(&ctx)?;
        model.network = model.network.without_adapters();
        Ok(())
    }

    /// Writes the adapters to a folder, in mlx-lm's format: `adapters.safetensors` and
    /// `adapter_config.json`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// model.add_lora(#{ rank: 4, seed: 7 });
    /// model.save_adapter("target/examples/save_adapter");
    /// let a = mx::load("target/examples/save_adapter/adapters.safetensors");
    /// assert_eq(a["model.layers.0.mlp.up_proj.lora_a"].shape, [16, 4]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn save_adapter(ctx: NativeCallContext, m: &mut Model, path: &str) -> Answer<()> {
        let dir = ModelDir::create(path).at(&ctx)?;
        m.0.borrow().network.save_adapter(&dir).at(&ctx)
    }

    /// Takes adapters from a folder in mlx-lm's format, in place of those that the model has.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// model.add_lora(#{ rank: 4, seed: 7 });
    /// model.save_adapter("target/examples/load_adapter");
    /// let name = "model.layers.0.mlp.up_proj.lora_a";
    /// let written = model.parameter(name);
    /// model.remove_lora();
    /// model.load_adapter("target/examples/load_adapter");
    /// assert_eq(model.parameter(name), written);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn load_adapter(ctx: NativeCallContext, m: &mut Model, path: &str) -> Answer<()> {
        m.change()
            .and_then(|mut model| model.network.load_adapter(Path::new(path)))
            .at(&ctx)
    }
}
