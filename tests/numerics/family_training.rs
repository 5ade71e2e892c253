//! The trainers on adapters, on experts and on weights in few bits.

use crate::support::{distance, shared, tiny_language_model, vectors};
use crate::training::{Ids, rewards, rows, settings};
use mlx_repl::data::Dataset;
use mlx_repl::models::{LoraSettings, Qwen3};
use mlx_repl::nn::{Params, Role};
use mlx_repl::rl::{GrpoSettings, GrpoTrainer};
use mlx_repl::sft::{SftSettings, SftTrainer};
use mlx_repl::text::LanguageModel;
use mlx_repl::train::{OptimSettings, Quiet};
use std::path::Path;

/// The digits over a checkpoint of the fixtures, or over the tiny dense model.
fn model(name: &str) -> LanguageModel {
    let tiny = tiny_language_model(21);
    match name {
        "tiny" => tiny,
        name => LanguageModel {
            network: Qwen3::load(&vectors().join(name), None).unwrap(),
            ..tiny
        },
    }
}

fn lora() -> Option<LoraSettings> {
    Some(LoraSettings {
        rank: 2,
        scale: 2.0,
        dropout: 0.1,
        ..LoraSettings::default()
    })
}

fn trainer(name: &str, dir: &Path, change: impl Fn(&mut GrpoSettings)) -> GrpoTrainer {
    GrpoTrainer::new(shared(model(name)), settings(dir, change)).unwrap()
}

/// How far each array moved, with its role.
fn moved(before: &Qwen3, after: &Qwen3) -> Vec<(String, Role, f32)> {
    let pairs = before.entries().into_iter().zip(after.entries());
    pairs
        .filter(|((_, role, _), _)| *role != Role::Packed)
        .map(|((name, role, a), (_, _, b))| (name, role, distance(&a, &b)))
        .collect()
}

#[test]
fn adapters_move_and_their_base_stays() {
    for name in ["tiny", "qwen3_moe", "qwen3_4bit_tied", "qwen3_moe_4bit"] {
        let dir = tempfile::tempdir().unwrap();
        let mut trainer = trainer(name, dir.path(), |s| {
            s.lora = lora();
            s.loss.beta = 0.1;
        });
        let before = trainer.model.borrow().network.clone();
        // In the first step only B moves: A is multiplied by it, and it is zero.
        for _ in 0..2 {
            let metrics = trainer.step(&rows(4), &mut rewards(Ids)).unwrap();
            assert!(metrics.get("grad_norm").unwrap() > 0.0, "{name}");
            assert!(metrics.get("kl").unwrap() >= 0.0, "{name}");
        }
        let after = trainer.model.borrow().network.clone();
        // An expert that no token went to has not moved, and need not.
        for (weight, role, off) in moved(&before, &after) {
            match role {
                Role::Adapter => assert!(off > 0.0, "{name}: {weight} has not moved"),
                _ => assert_eq!(off, 0.0, "{name}: {weight} has moved"),
            }
        }
    }
}

#[test]
fn a_resumed_run_with_adapters_is_the_uninterrupted_one() {
    for name in ["tiny", "qwen3_moe_4bit"] {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let data = Dataset::new(rows(8));
        let change = |s: &mut GrpoSettings| {
            s.lora = lora();
            s.loss.beta = 0.05;
            s.max_steps = 4;
        };
        let mut whole = trainer(name, dir.path(), |s| {
            change(s);
            s.save_steps = 2;
        });
        whole.train(&data, &mut rewards(Ids), &mut Quiet).unwrap();
        let mut resumed = trainer(name, other.path(), change);
        let checkpoint = dir.path().join("checkpoints/step-000002");
        resumed.resume(&checkpoint).unwrap();
        resumed.train(&data, &mut rewards(Ids), &mut Quiet).unwrap();
        let (a, b) = (whole.model.borrow(), resumed.model.borrow());
        let off = moved(&a.network, &b.network);
        assert!(off.iter().all(|(.., off)| *off == 0.0), "{name}: {off:?}");
        // By itself the checkpoint is the model with its adapters merged.
        let last = dir.path().join("checkpoints/step-000004");
        let loaded = LanguageModel::load(&last, None).unwrap();
        let off = moved(&a.network.merged().unwrap(), &loaded.network);
        assert!(off.iter().all(|(.., off)| *off == 0.0), "{name}: {off:?}");
    }
}

/// All of a mixture is trained, its router too; the balance is a part of the loss if asked for.
#[test]
fn experts_are_trained_and_their_load_is_balanced() {
    let dir = tempfile::tempdir().unwrap();
    let run = |coefficient: f32| {
        let mut trainer = trainer("qwen3_moe", dir.path(), |s| {
            s.router_aux_loss_coef = coefficient;
        });
        let before = trainer.model.borrow().network.clone();
        let metrics = trainer.step(&rows(4), &mut rewards(Ids)).unwrap();
        let after = trainer.model.borrow().network.clone();
        for (weight, _, off) in moved(&before, &after) {
            assert!(off > 0.0, "{weight} has not moved");
        }
        metrics
    };
    assert_eq!(run(0.0).get("aux_loss"), None);
    let (plain, balanced) = (run(0.0), run(10.0));
    // An even load of two experts a token is 2; nothing is below that by much.
    let aux_loss = balanced.get("aux_loss").unwrap();
    assert!((1.5..6.0).contains(&aux_loss), "{aux_loss}");
    let difference = balanced.get("loss").unwrap() - plain.get("loss").unwrap();
    assert!((difference - 10.0 * aux_loss).abs() < 1e-2, "{difference}");
}

#[test]
fn supervised_training_works_on_adapters_and_experts() {
    for name in ["tiny", "qwen3_moe_tied", "qwen3_moe_4bit"] {
        let dir = tempfile::tempdir().unwrap();
        let settings = SftSettings {
            batch_size: 4,
            optim: OptimSettings::at(1e-2),
            lora: lora(),
            router_aux_loss_coef: 0.01,
            max_steps: 30,
            run_dir: Some(dir.path().to_path_buf()),
            ..SftSettings::default()
        };
        let data = Dataset::new(rows(10));
        let mut trainer = SftTrainer::new(shared(model(name)), settings).unwrap();
        let before = trainer.evaluate(&data).unwrap();
        trainer.train(&data, &mut Quiet).unwrap();
        let after = trainer.evaluate(&data).unwrap();
        assert!(after < before / 2.0, "{name}: {before}, then {after}");
    }
}

#[test]
fn weights_in_few_bits_are_not_trained_without_adapters() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(model("qwen3_4bit_tied"));
    let error = GrpoTrainer::new(shared, settings(dir.path(), |_| ())).unwrap_err();
    assert!(error.to_string().contains("add_lora"), "{error}");
}
