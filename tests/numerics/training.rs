//! Properties of the trainers.

use crate::support::{distance, shared, tiny_language_model};
use mlx_repl::Result;
use mlx_repl::data::{Dataset, Row};
use mlx_repl::nn::Params;
use mlx_repl::optim::Decay;
use mlx_repl::rl::{
    EvalSettings, GrpoSettings, GrpoTrainer, LossType, Reward, RewardOutput, Score,
};
use mlx_repl::sft::{SftSettings, SftTrainer};
use mlx_repl::text::LanguageModel;
use mlx_repl::train::{OptimSettings, Quiet};
use serde_json::{Value, json};
use std::path::Path;

pub fn rows(n: usize) -> Vec<Row> {
    (0..n)
        .map(|i| {
            let Value::Object(fields) = json!({ "prompt": format!("{i}="), "answer": "7" }) else {
                unreachable!()
            };
            Row::new(fields)
        })
        .collect()
}

/// 1 for each 7 that was written: something that differs within a group from the start.
struct Sevens;

impl Reward for Sevens {
    fn name(&self) -> &str {
        "sevens"
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        let count = |o: &RewardOutput| o.completion.text.matches('7').count();
        Ok(outputs
            .iter()
            .map(|o| Score::Value(count(o) as f64))
            .collect())
    }
}

/// The sum of the ids: no two completions of a group are likely to agree on it.
pub struct Ids;

impl Reward for Ids {
    fn name(&self) -> &str {
        "ids"
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        let sum = |o: &RewardOutput| o.completion.token_ids.iter().sum::<i32>();
        Ok(outputs
            .iter()
            .map(|o| Score::Value(f64::from(sum(o))))
            .collect())
    }
}

/// Answers whatever it was made with, for every output.
pub struct Fixed(pub Vec<Score>);

impl Reward for Fixed {
    fn name(&self) -> &str {
        "fixed"
    }

    fn score(&mut self, _: &[RewardOutput]) -> Result<Vec<Score>> {
        Ok(self.0.clone())
    }
}

pub fn rewards(reward: impl Reward + 'static) -> Vec<Box<dyn Reward>> {
    vec![Box::new(reward)]
}

pub fn settings(dir: &Path, change: impl Fn(&mut GrpoSettings)) -> GrpoSettings {
    let mut settings = GrpoSettings {
        prompts_per_step: 2,
        num_generations: 4,
        max_completion_length: 5,
        optim: OptimSettings::at(1e-2),
        run_dir: Some(dir.to_path_buf()),
        ..GrpoSettings::default()
    };
    change(&mut settings);
    settings
}

pub fn trainer(dir: &Path, change: impl Fn(&mut GrpoSettings)) -> GrpoTrainer {
    GrpoTrainer::new(shared(tiny_language_model(21)), settings(dir, change)).unwrap()
}

pub fn weights_differ(a: &LanguageModel, b: &LanguageModel) -> Vec<(String, f32)> {
    let pairs = a.network.named().into_iter().zip(b.network.arrays());
    pairs
        .map(|((name, a), b)| (name, distance(&a, &b)))
        .collect()
}

#[test]
fn every_weight_moves_in_a_step_and_the_ratio_is_one() {
    let dir = tempfile::tempdir().unwrap();
    for loss_type in [
        LossType::Grpo,
        LossType::Dapo,
        LossType::DrGrpo,
        LossType::Bnpo,
    ] {
        let before = tiny_language_model(21);
        let mut trainer = trainer(dir.path(), |s| s.loss.loss_type = loss_type);
        let metrics = trainer.step(&rows(2), &mut rewards(Ids)).unwrap();
        let get = |name: &str| metrics.get(name).unwrap();
        assert!(get("sampling/sampling_logp_difference/max") < 1e-4);
        assert!(get("grad_norm") > 0.0 && get("loss").is_finite());
        assert_eq!(get("clip_ratio/region_mean"), 0.0);
        for (name, off) in weights_differ(&before, &trainer.model.borrow()) {
            assert!(off > 0.0, "{loss_type:?}: {name} has not moved");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let run = || {
        let mut trainer = trainer(dir.path(), |s| s.max_steps = 3);
        let data = Dataset::new(rows(8));
        trainer.train(&data, &mut rewards(Ids), &mut Quiet).unwrap();
        let losses: Vec<f64> = trainer
            .history
            .iter()
            .filter_map(|m| m.get("loss"))
            .collect();
        (losses, trainer)
    };
    let ((a, first), (b, second)) = (run(), run());
    assert_eq!(a, b);
    let off = weights_differ(&first.model.borrow(), &second.model.borrow());
    assert!(off.iter().all(|(_, off)| *off == 0.0));
}

/// A run that is stopped and resumed is, to the bit, the run that was not.
#[test]
fn a_resumed_run_is_the_uninterrupted_one() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = Dataset::new(rows(8));
    let change = |s: &mut GrpoSettings| s.loss.beta = 0.05;
    let mut whole = trainer(dir.path(), |s| {
        change(s);
        s.max_steps = 5;
        s.save_steps = 2;
    });
    whole.train(&data, &mut rewards(Ids), &mut Quiet).unwrap();
    let checkpoint = dir.path().join("checkpoints/step-000002");
    let mut resumed = trainer(other.path(), |s| {
        change(s);
        s.max_steps = 5;
    });
    resumed.resume(&checkpoint).unwrap();
    assert_eq!(resumed.history.len(), 2);
    resumed.train(&data, &mut rewards(Ids), &mut Quiet).unwrap();
    let loss = |t: &GrpoTrainer| t.history.iter().map(|m| m.get("loss")).collect::<Vec<_>>();
    assert_eq!(loss(&whole), loss(&resumed));
    let off = weights_differ(&whole.model.borrow(), &resumed.model.borrow());
    assert!(off.iter().all(|(_, off)| *off == 0.0), "{off:?}");
    // The checkpoint is the trained model, and loads by itself.
    let last = dir.path().join("checkpoints/step-000005");
    let loaded = LanguageModel::load(&last, None).unwrap();
    let off = weights_differ(&whole.model.borrow(), &loaded);
    assert!(off.iter().all(|(_, off)| *off == 0.0));
}

#[test]
fn accumulation_is_the_big_batch() {
    let dir = tempfile::tempdir().unwrap();
    for loss_type in [LossType::Grpo, LossType::Dapo, LossType::DrGrpo] {
        let run = |parts: usize| {
            let mut trainer = trainer(dir.path(), |s| {
                s.loss.loss_type = loss_type;
                s.gradient_accumulation_steps = parts;
                // The step of Adam does not show the size of a gradient.
                s.optim.optimizer = "sgd".into();
                s.optim.max_grad_norm = 0.0;
            });
            let metrics = trainer.step(&rows(2), &mut rewards(Ids)).unwrap();
            (
                metrics.get("grad_norm").unwrap(),
                metrics.get("loss").unwrap(),
                trainer,
            )
        };
        let (norm, loss, whole) = run(1);
        // Three does not divide eight: the parts are of different sizes.
        for parts in [2, 3, 8] {
            let (other_norm, other_loss, split) = run(parts);
            assert!(
                (norm - other_norm).abs() < 1e-5 * norm,
                "{loss_type:?} in {parts}"
            );
            assert!((loss - other_loss).abs() < 1e-6, "{loss_type:?} in {parts}");
            let off = weights_differ(&whole.model.borrow(), &split.model.borrow());
            assert!(
                off.iter().all(|(_, off)| *off < 1e-6),
                "{loss_type:?} in {parts}"
            );
        }
    }
}

#[test]
fn equal_rewards_teach_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let before = tiny_language_model(21);
    let mut trainer = trainer(dir.path(), |_| ());
    let flat = Fixed(vec![Score::Value(0.3); 8]);
    let metrics = trainer.step(&rows(2), &mut rewards(flat)).unwrap();
    assert_eq!(metrics.get("grad_norm"), Some(0.0));
    assert_eq!(metrics.get("frac_reward_zero_std"), Some(1.0));
    let off = weights_differ(&before, &trainer.model.borrow());
    assert!(off.iter().all(|(_, off)| *off == 0.0));
}

#[test]
fn several_iterations_leave_the_sampling_policy() {
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = trainer(dir.path(), |s| {
        s.num_iterations = 4;
        s.optim.learning_rate = 0.1;
    });
    let metrics = trainer.step(&rows(2), &mut rewards(Ids)).unwrap();
    // The sampler is compared with the model that it sampled from.
    let mismatch = metrics.get("sampling/sampling_logp_difference/max");
    assert!(mismatch.unwrap() < 1e-4);
    assert!(metrics.get("clip_ratio/region_mean").unwrap() > 0.0);
}

#[test]
fn practice_raises_the_reward() {
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = trainer(dir.path(), |s| {
        s.max_steps = 40;
        s.prompts_per_step = 4;
        s.num_generations = 8;
    });
    let data = Dataset::new(rows(10));
    let eval = EvalSettings {
        temperature: Some(1.0),
        ..EvalSettings::default()
    };
    let before = trainer
        .evaluate(&data, &mut rewards(Sevens), &eval)
        .unwrap();
    let report = trainer
        .train(&data, &mut rewards(Sevens), &mut Quiet)
        .unwrap();
    let after = trainer
        .evaluate(&data, &mut rewards(Sevens), &eval)
        .unwrap();
    assert_eq!(report.steps, 40);
    // Five sevens are the most; chance gives about a half of one.
    assert!(
        before.reward < 2.0 && after.reward > 4.0,
        "{before:?} {after:?}"
    );
}

#[test]
fn bad_rewards_are_named_and_nothing_is_learnt() {
    let dir = tempfile::tempdir().unwrap();
    let before = tiny_language_model(21);
    let mut trainer = trainer(dir.path(), |_| ());
    let mut error = |scores: Vec<Score>| {
        let outcome = trainer.step(&rows(2), &mut rewards(Fixed(scores)));
        outcome.unwrap_err().to_string()
    };
    let short = error(vec![Score::Value(1.0); 7]);
    assert!(short.contains("7 scores for 8 outputs"), "{short}");
    let mut nan = vec![Score::Value(1.0); 8];
    nan[5] = Score::Value(f64::NAN);
    let nan = error(nan);
    assert!(nan.contains("fixed") && nan.contains("output 5"), "{nan}");
    let mut part = vec![Score::Value(1.0); 8];
    part[2] = Score::Parts(vec![("style".into(), f64::INFINITY)]);
    let part = error(part);
    assert!(
        part.contains("`style`") && part.contains("output 2"),
        "{part}"
    );
    assert!(trainer.history.is_empty());
    let off = weights_differ(&before, &trainer.model.borrow());
    assert!(off.iter().all(|(_, off)| *off == 0.0));
}

#[test]
fn parts_are_summed_and_logged_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = trainer(dir.path(), |_| ());
    let parts = |a: f64| Score::Parts(vec![("right".into(), a), ("short".into(), 0.5)]);
    let mut scores: Vec<Score> = (0..7).map(|i| parts(f64::from(i % 2))).collect();
    scores.push(Score::Unscorable);
    let metrics = trainer.step(&rows(2), &mut rewards(Fixed(scores))).unwrap();
    assert_eq!(metrics.get("rewards/short/mean"), Some(0.5));
    assert!((metrics.get("rewards/right/mean").unwrap() - 3.0 / 7.0).abs() < 1e-12);
    assert!((metrics.get("reward").unwrap() - (3.0 / 7.0 + 0.5)).abs() < 1e-12);
}

#[test]
fn the_run_directory_holds_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = trainer(dir.path(), |s| {
        s.max_steps = 3;
        s.save_steps = 1;
        s.save_total_limit = 2;
    });
    let data = Dataset::new(rows(4));
    let report = trainer
        .train(&data, &mut rewards(Sevens), &mut Quiet)
        .unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let table = read("metrics.csv");
    assert_eq!(table.lines().count(), 4);
    for column in [
        "step",
        "reward",
        "loss",
        "grad_norm",
        "learning_rate",
        "reward_std",
    ] {
        let header = table.lines().next().unwrap();
        assert!(
            header.split(',').any(|name| name == column),
            "{column}: {header}"
        );
    }
    assert_eq!(read("completions.jsonl").lines().count(), 3 * 8);
    assert!(read("reward.svg").contains("<svg"));
    let config: Value = serde_json::from_str(&read("config.json")).unwrap();
    assert_eq!(config["num_generations"], 4);
    assert_eq!(
        report.checkpoint,
        dir.path().join("checkpoints/step-000003")
    );
    assert!(!dir.path().join("checkpoints/step-000001").exists());
    assert!(report.checkpoint.join("optimizer.safetensors").is_file());
}

#[test]
fn settings_are_checked_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut GrpoSettings)| {
        let model = shared(tiny_language_model(21));
        let error = GrpoTrainer::new(model, settings(dir.path(), change)).unwrap_err();
        error.to_string()
    };
    assert!(refused(&|s| s.num_generations = 1).contains("num_generations"));
    assert!(refused(&|s| s.optim.learning_rate = -1.0).contains("learning_rate"));
    assert!(refused(&|s| s.sampler.top_p = 0.0).contains("top_p"));
    assert!(refused(&|s| s.loss.epsilon = f32::NAN).contains("epsilon"));
    assert!(refused(&|s| s.optim.optimizer = "adamx".into()).contains("adamw"));
    assert!(refused(&|s| s.eval_steps = 2).contains("eval_dataset"));
    assert!(refused(&|s| s.num_epochs = 0).contains("num_epochs"));
    assert!(refused(&|s| s.stop_token_ids = Some(vec![9999])).contains("9999"));
    let weights = |s: &mut GrpoSettings| s.advantage.reward_weights = vec![f64::NAN];
    assert!(refused(&weights).contains("reward_weights"));
    // Nothing is sampled for weights that fit no reward.
    let mut two = trainer(dir.path(), |s| s.advantage.reward_weights = vec![1.0, 2.0]);
    let error = two.step(&rows(2), &mut rewards(Unasked)).unwrap_err();
    assert!(error.to_string().contains("2 weights"), "{error}");
    let data = Dataset::new(rows(2));
    let settings = EvalSettings::default();
    assert!(
        two.evaluate(&data, &mut rewards(Unasked), &settings)
            .is_err()
    );
    let mut few = trainer(dir.path(), |s| s.prompts_per_step = 9);
    let outcome = few.train(&Dataset::new(rows(8)), &mut rewards(Sevens), &mut Quiet);
    assert!(
        outcome
            .unwrap_err()
            .to_string()
            .contains("prompts_per_step = 9")
    );
}

/// Fails a test by being asked.
struct Unasked;

impl Reward for Unasked {
    fn name(&self) -> &str {
        "unasked"
    }

    fn score(&mut self, _: &[RewardOutput]) -> Result<Vec<Score>> {
        panic!("the reward was asked")
    }
}

/// A rate that decays does so towards `max_steps`, and stays at its peak where there are none.
#[test]
fn single_steps_follow_the_schedule() {
    let dir = tempfile::tempdir().unwrap();
    let rates = |max_steps: u64| {
        let mut trainer = trainer(dir.path(), |s| {
            s.optim.learning_rate = 1.0;
            s.optim.lr_scheduler = Decay::Linear;
            s.max_steps = max_steps;
        });
        let mut step = || trainer.step(&rows(2), &mut rewards(Ids)).unwrap();
        (0..4)
            .map(|_| step().get("learning_rate").unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(rates(2), [1.0, 0.5, 0.0, 0.0]);
    assert_eq!(rates(0), [1.0; 4]);
}

fn sft(dir: &Path, change: impl Fn(&mut SftSettings)) -> SftTrainer {
    let mut settings = SftSettings {
        batch_size: 4,
        optim: OptimSettings::at(1e-2),
        run_dir: Some(dir.to_path_buf()),
        ..SftSettings::default()
    };
    change(&mut settings);
    SftTrainer::new(shared(tiny_language_model(22)), settings).unwrap()
}

#[test]
fn supervised_training_learns_the_completions() {
    let dir = tempfile::tempdir().unwrap();
    let data = Dataset::new(rows(10));
    let mut trainer = sft(dir.path(), |s| s.max_steps = 40);
    let before = trainer.evaluate(&data).unwrap();
    let report = trainer.train(&data, &mut Quiet).unwrap();
    let after = trainer.evaluate(&data).unwrap();
    assert!(before > 1.5 && after < 0.05, "{before} {after}");
    assert!(report.last_loss < report.first_loss);
    let loaded = LanguageModel::load(&report.checkpoint, None).unwrap();
    let off = weights_differ(&trainer.model.borrow(), &loaded);
    assert!(off.iter().all(|(_, off)| *off == 0.0));
}

#[test]
fn supervised_accumulation_is_the_big_batch() {
    let dir = tempfile::tempdir().unwrap();
    let data = Dataset::new(rows(8));
    let run = |batch_size: usize, parts: usize| {
        let mut trainer = sft(dir.path(), |s| {
            s.batch_size = batch_size;
            s.gradient_accumulation_steps = parts;
            s.optim.optimizer = "sgd".into();
            s.max_steps = 2;
        });
        trainer.train(&data, &mut Quiet).unwrap();
        trainer
    };
    let (whole, split) = (run(8, 1), run(2, 4));
    let off = weights_differ(&whole.model.borrow(), &split.model.borrow());
    assert!(off.iter().all(|(_, off)| *off < 1e-6), "{off:?}");
}
