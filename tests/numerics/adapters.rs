//! Adapters, and weights in few bits.

use crate::support::{check_gradients, distance, fixture, ids, tiny, vectors};
use mlx_repl::checkpoint::ModelDir;
use mlx_repl::mlx::quantized::Format;
use mlx_repl::mlx::{Array, Dtype, random};
use mlx_repl::models::{LoraSettings, Qwen3};
use mlx_repl::nn::{Params, Role};

/// One model of each kind of layer that takes adapters: dense, of experts, in few bits.
fn models() -> Vec<(&'static str, Qwen3)> {
    let names = [
        "qwen3_untied",
        "qwen3_moe",
        "qwen3_4bit_tied",
        "qwen3_moe_4bit",
    ];
    let load = |name| (name, Qwen3::load(&vectors().join(name), None).unwrap());
    names.into_iter().map(load).collect()
}

fn prompt() -> Array {
    Array::from_slice(&[3i32, 7, 1, 12, 4, 9, 2, 5], &[1, 8])
}

fn logits(model: &Qwen3) -> Array {
    model.forward(&prompt(), None).unwrap()
}

fn settings() -> LoraSettings {
    LoraSettings {
        rank: 4,
        scale: 2.0,
        seed: 3,
        ..LoraSettings::default()
    }
}

/// A model with adapters that do something.
fn adapted(model: &Qwen3, settings: &LoraSettings) -> Qwen3 {
    let mut model = model.clone();
    model.add_lora(settings).unwrap();
    let moved: Vec<Array> = model
        .trained()
        .iter()
        .enumerate()
        .map(|(i, (_, array))| {
            let key = random::key(i as u64).unwrap();
            let noise = mlx_rs::random::normal::<f32>(array.shape(), None, 0.05, &key).unwrap();
            array.add(noise).unwrap()
        })
        .collect();
    model.set_trained(&moved);
    model
}

#[test]
fn fresh_adapters_change_nothing_and_trained_ones_can_be_switched_off() {
    for (name, model) in models() {
        let before = logits(&model);
        let mut fresh = model.clone();
        fresh.add_lora(&settings()).unwrap();
        assert_eq!(distance(&logits(&fresh), &before), 0.0, "{name}");
        let trained = adapted(&model, &settings());
        assert!(distance(&logits(&trained), &before) > 0.1, "{name}");
        let base = trained.without_adapters();
        assert_eq!(distance(&logits(&base), &before), 0.0, "{name}");
        assert!(fresh.add_lora(&settings()).is_err(), "{name}: twice");
    }
}

#[test]
fn merged_adapters_compute_the_same() {
    for (name, model) in models() {
        let trained = adapted(&model, &settings());
        let merged = trained.merged().unwrap();
        assert!(!merged.has_adapters(), "{name}");
        let off = distance(&logits(&merged), &logits(&trained));
        // Weights in few bits are rounded again; without that, the sums differ in the last digits.
        let packed = name.contains("4bit");
        assert!(off < if packed { 1.0 } else { 1e-4 }, "{name}: {off}");
        assert!(
            trained.has_adapters(),
            "{name}: the model itself is untouched"
        );
    }
}

#[test]
fn adapters_come_back_from_their_files() {
    for (name, model) in models() {
        for (targets, layers) in [(vec![], -1), (vec!["q_proj", "down_proj"], 1)] {
            let dir = tempfile::tempdir().unwrap();
            let settings = LoraSettings {
                targets: targets.iter().map(ToString::to_string).collect(),
                layers,
                ..settings()
            };
            let trained = adapted(&model, &settings);
            let folder = ModelDir::create(dir.path()).unwrap();
            trained.save_adapter(&folder).unwrap();
            let mut loaded = model.clone();
            loaded.load_adapter(dir.path()).unwrap();
            assert_eq!(distance(&logits(&loaded), &logits(&trained)), 0.0, "{name}");
            // Of another model, or damaged: refused, and nothing is changed.
            let mut other = tiny(true, 1);
            let before = other.named().len();
            let error = other.load_adapter(dir.path()).unwrap_err().to_string();
            assert!(
                error.contains("lora_a") || error.contains("no place"),
                "{error}"
            );
            assert_eq!(other.named().len(), before);
        }
    }
}

/// Gradients of the adapters, against central differences along a random direction; the weights
/// that they are added to have none.
#[test]
fn only_adapters_have_gradients_and_they_are_finite_differences() {
    for (name, model) in models() {
        let model = adapted(&model, &settings());
        let trained = model.trained();
        assert!(trained.iter().all(|(name, _)| name.contains(".lora_")));
        // Which experts are chosen changes in jumps: the router is left where it is.
        check_gradients(name, &model, 1.0, 5e-2, |weight| {
            weight.contains("mlp.gate.")
        });
    }
}

#[test]
fn dropout_draws_by_its_seed_and_only_where_it_is_asked_for() {
    let model = tiny(false, 3);
    let settings = LoraSettings {
        dropout: 0.5,
        ..settings()
    };
    let model = adapted(&model, &settings);
    let with = |seed| logits(&model.with_dropout(seed).unwrap());
    assert_eq!(distance(&with(1), &with(1)), 0.0);
    assert!(distance(&with(1), &with(2)) > 1e-3);
    assert!(distance(&with(1), &logits(&model)) > 1e-3);
}

/// The scales of these formats are exponents, not numbers to calculate with.
#[test]
fn adapters_go_on_every_format() {
    for mode in ["mxfp4", "mxfp8", "nvfp4"] {
        let mut model = Qwen3::load(&vectors().join("qwen3_untied"), None).unwrap();
        model.quantize(&Format::new(mode, None, None)).unwrap();
        let trained = adapted(&model, &settings());
        let merged = trained.merged().unwrap();
        let off = distance(&logits(&merged), &logits(&trained));
        assert!(off < 3.0, "{mode}: {off}");
        let dir = tempfile::tempdir().unwrap();
        let folder = ModelDir::create(dir.path()).unwrap();
        trained.save(&folder, usize::MAX).unwrap();
        let loaded = Qwen3::load(dir.path(), None).unwrap();
        assert_eq!(distance(&logits(&loaded), &logits(&merged)), 0.0, "{mode}");
    }
}

#[test]
fn bad_settings_are_named() {
    let mut model = tiny(false, 3);
    let mut error = |change: fn(&mut LoraSettings)| {
        let mut settings = settings();
        change(&mut settings);
        model.add_lora(&settings).unwrap_err().to_string()
    };
    assert!(error(|s| s.rank = 0).contains("rank"));
    assert!(error(|s| s.rank = i32::MAX).contains("rank"));
    assert!(error(|s| s.dropout = 1.0).contains("dropout"));
    assert!(error(|s| s.layers = 0).contains("layers"));
    let unknown = error(|s| s.targets = vec!["query".into()]);
    assert!(
        unknown.contains("query") && unknown.contains("q_proj"),
        "{unknown}"
    );
    let mut packed = Qwen3::load(&vectors().join("qwen3_4bit_tied"), None).unwrap();
    let refused = packed.prepare(None).unwrap_err().to_string();
    assert!(refused.contains("add_lora"), "{refused}");
    packed.prepare(Some(&settings())).unwrap();
}

/// What MLX packs here is what mlx-lm packed: the same words, scales and logits.
#[test]
fn quantising_in_place_keeps_close_and_fewer_bytes() {
    let values = &fixture("qwen3.json")["models"]["qwen3_untied"];
    let ids = ids(&values["ids"]);
    let model = Qwen3::load(&vectors().join("qwen3_untied"), None).unwrap();
    let bytes = |model: &Qwen3| model.arrays().iter().map(Array::nbytes).sum::<usize>();
    let whole = model.forward(&ids, None).unwrap();
    let mut last = f32::INFINITY;
    for bits in [2, 3, 4, 5, 6, 8] {
        let mut packed = model.clone();
        packed
            .quantize(&Format::new("affine", Some(32), Some(bits)))
            .unwrap();
        assert!(bytes(&packed) < bytes(&model), "{bits} bits");
        assert_eq!(
            packed.num_parameters(),
            model.num_parameters(),
            "{bits} bits"
        );
        let off = distance(&packed.forward(&ids, None).unwrap(), &whole);
        assert!(
            off < last,
            "{bits} bits are off by {off}, fewer were by {last}"
        );
        last = off;
        // And through a file.
        let dir = tempfile::tempdir().unwrap();
        let folder = ModelDir::create(dir.path()).unwrap();
        packed.save(&folder, usize::MAX).unwrap();
        let loaded = Qwen3::load(dir.path(), None).unwrap();
        let (a, b) = (packed.forward(&ids, None), loaded.forward(&ids, None));
        assert_eq!(distance(&a.unwrap(), &b.unwrap()), 0.0, "{bits} bits");
    }
    assert!(last < 0.2, "8 bits are off by {last}");
    let roles = |model: &Qwen3| {
        model
            .entries()
            .iter()
            .filter(|e| e.1 == Role::Packed)
            .count()
    };
    assert_eq!(roles(&model), 0);
    let mut refused = tiny(true, 1);
    let error = refused
        .quantize(&Format::new("affine", None, None))
        .unwrap_err();
    assert!(error.to_string().contains("group_size"), "{error}");
    assert_eq!(refused.dtype(), Dtype::Float32);
}
