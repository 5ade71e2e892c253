//! What the settings of the GRPO trainer do to a step.

use crate::support::{shared, tiny_language_model};
use crate::training::{Fixed, Ids, rewards, rows, settings, trainer, weights_differ};
use mlx_repl::data::Dataset;
use mlx_repl::mlx::{Array, interrupt};
use mlx_repl::nn::Params;
use mlx_repl::rl::{
    BuiltIn, GrpoSettings, GrpoTrainer, LossInputs, LossSettings, LossType, PolicyLoss, Ratio,
    Reward, RewardOutput, Score,
};
use mlx_repl::train::Quiet;
use mlx_repl::{Error, Result};

fn exact(s: &mut GrpoSettings) {
    // The step of Adam does not show the size of a gradient.
    s.optim.optimizer = "sgd".into();
    s.optim.max_grad_norm = 0.0;
}

fn same_weights(a: &GrpoTrainer, b: &GrpoTrainer, tolerance: f32, what: &str) {
    for (name, off) in weights_differ(&a.model.borrow(), &b.model.borrow()) {
        assert!(off <= tolerance, "{what}: {name} is off by {off}");
    }
}

#[test]
fn ways_of_saving_memory_change_no_update() {
    let dir = tempfile::tempdir().unwrap();
    let run = |change: &dyn Fn(&mut GrpoSettings)| {
        let mut trainer = trainer(dir.path(), |s| {
            exact(s);
            s.loss.beta = 0.1;
            s.num_iterations = 2;
            change(s);
        });
        let metrics = trainer.step(&rows(2), &mut rewards(Ids)).unwrap();
        (metrics, trainer)
    };
    let (plain_metrics, plain) = run(&|s| s.shared_prefix = false);
    type Change = fn(&mut GrpoSettings);
    let ways: [(&str, Change); 6] = [
        ("shared prompts", |_| ()),
        ("checkpointing", |s| s.gradient_checkpointing = true),
        ("chunks", |s| s.logprob_chunk_size = 3),
        ("micro-batches", |s| s.micro_batch_tokens = 12),
        ("micro-batches of whole rows", |s| {
            s.micro_batch_tokens = 12;
            s.shared_prefix = false;
        }),
        ("all", |s| {
            s.gradient_checkpointing = true;
            s.logprob_chunk_size = 4;
            s.gradient_accumulation_steps = 3;
        }),
    ];
    for (name, way) in ways {
        let (metrics, lean) = run(&way);
        same_weights(&plain, &lean, 1e-6, name);
        for number in [
            "loss",
            "grad_norm",
            "kl",
            "entropy",
            "clip_ratio/region_mean",
        ] {
            let (a, b) = (
                plain_metrics.get(number).unwrap(),
                metrics.get(number).unwrap(),
            );
            assert!(
                (a - b).abs() < 1e-5 * (1.0 + a.abs()),
                "{name}: {number} {a} {b}"
            );
        }
    }
}

#[test]
fn every_loss_is_the_same_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo",
    ] {
        let loss_type = LossType::named(name).unwrap();
        let run = |parts: usize| {
            let mut trainer = trainer(dir.path(), |s| {
                exact(s);
                s.loss.loss_type = loss_type;
                s.loss.top_entropy_quantile = 0.5;
                s.loss.entropy_coef = 0.1;
                s.mask_truncated_completions = true;
                s.gradient_accumulation_steps = parts;
            });
            let metrics = trainer.step(&rows(2), &mut rewards(Ids)).unwrap();
            assert!(metrics.get("grad_norm").unwrap() > 0.0, "{name}");
            trainer
        };
        let whole = run(1);
        for parts in [3, 8] {
            same_weights(&whole, &run(parts), 1e-6, &format!("{name} in {parts}"));
        }
    }
}

/// Tokens of equal entropy, such as the first of each completion of a prompt, are all kept or none.
#[test]
fn the_highest_entropies_are_those_of_the_step() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..12 {
        let run = |parts: usize| {
            let mut trainer = trainer(dir.path(), |s| {
                exact(s);
                s.seed = seed;
                s.loss.top_entropy_quantile = 0.0;
                s.gradient_accumulation_steps = parts;
            });
            trainer.step(&rows(3), &mut rewards(Ids)).unwrap();
            trainer
        };
        same_weights(&run(1), &run(4), 1e-6, &format!("seed {seed}"));
    }
}

/// Shares of sequences, and the mean weight of one, do not depend on how a step is divided.
#[test]
fn numbers_of_sequences_are_the_same_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    for loss_type in [LossType::Dapo, LossType::Vespo] {
        let run = |parts: usize| {
            let mut trainer = trainer(dir.path(), |s| {
                exact(s);
                s.optim.learning_rate = 0.5;
                s.num_iterations = 2;
                s.loss.loss_type = loss_type;
                s.loss.importance_sampling_level = match loss_type {
                    LossType::Vespo => Ratio::Token,
                    _ => Ratio::Sequence,
                };
                s.loss.epsilon = 0.01;
                s.mask_truncated_completions = true;
                s.gradient_accumulation_steps = parts;
            });
            trainer.step(&rows(3), &mut rewards(Ids)).unwrap()
        };
        let (whole, parts) = (run(1), run(4));
        let mut seen = 0;
        for (name, value) in &whole.values {
            if name.starts_with("clip_ratio") || name.starts_with("vespo") {
                let other = parts.get(name).unwrap();
                assert!((value - other).abs() < 1e-5, "{name}: {value} and {other}");
                seen += usize::from(*value != 0.0);
            }
        }
        assert!(seen > 0, "{whole:?}");
    }
}

/// Ids of the first prompt's completions, nothing that differs for the second's.
struct FirstOnly;

impl Reward for FirstOnly {
    fn name(&self) -> &str {
        "first"
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        let sum = |o: &RewardOutput| o.completion.token_ids.iter().sum::<i32>();
        let score =
            |o: &RewardOutput| Score::Value(f64::from(if o.group == 0 { sum(o) } else { 1 }));
        Ok(outputs.iter().map(score).collect())
    }
}

/// Completions with advantage 0 are not forwarded. Asked for the entropy of every token they are,
/// and the update is the same but for the bonus, which is too small to see.
#[test]
fn what_teaches_nothing_is_left_out_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    for loss_type in LossType::ALL {
        let run = |entropy_coef: f32| {
            let mut trainer = trainer(dir.path(), |s| {
                exact(s);
                s.loss.loss_type = loss_type;
                s.loss.entropy_coef = entropy_coef;
            });
            trainer.step(&rows(2), &mut rewards(FirstOnly)).unwrap();
            trainer
        };
        // What is left out changes the order of sums: a weight of 1 may move by its last place.
        same_weights(&run(0.0), &run(1e-12), 3e-7, loss_type.name());
    }
}

#[test]
fn cut_off_completions_can_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let before = tiny_language_model(21);
    let mut masked = trainer(dir.path(), |s| {
        s.mask_truncated_completions = true;
        s.max_completion_length = 1;
        s.stop_token_ids = Some(Vec::new());
    });
    let metrics = masked.step(&rows(2), &mut rewards(Ids)).unwrap();
    assert_eq!(metrics.get("completions/clipped_ratio"), Some(1.0));
    assert_eq!(metrics.get("loss"), Some(0.0));
    assert_eq!(metrics.get("grad_norm"), Some(0.0));
    let off = weights_differ(&before, &masked.model.borrow());
    assert!(off.iter().all(|(_, off)| *off == 0.0));
    assert!(
        masked
            .notes
            .iter()
            .any(|note| note.contains("max_completion_length = 1"))
    );
}

/// The sum of the ids for prompts of even numbers, nothing that differs for the others.
struct EvenOnly;

impl Reward for EvenOnly {
    fn name(&self) -> &str {
        "even"
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        let score = |o: &RewardOutput| {
            let number: i32 = o.prompt.trim_end_matches('=').parse().unwrap();
            let sum: i32 = o.completion.token_ids.iter().sum();
            Score::Value(f64::from(if number % 2 == 0 { sum } else { 1 }))
        };
        Ok(outputs.iter().map(score).collect())
    }
}

#[test]
fn prompts_that_teach_nothing_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let data = Dataset::new(rows(10));
    let run = |rounds: u64| {
        let mut trainer = trainer(dir.path(), |s| {
            s.dynamic_sampling = rounds;
            s.prompts_per_step = 5;
            s.max_steps = 2;
        });
        trainer
            .train(&data, &mut rewards(EvenOnly), &mut Quiet)
            .unwrap();
        trainer
    };
    let plain = run(0);
    assert!(plain.history[0].get("dynamic_sampling/kept").is_none());
    let filled = run(30);
    for (with, without) in filled.history.iter().zip(&plain.history).take(1) {
        assert_eq!(with.get("dynamic_sampling/kept"), Some(1.0));
        assert!(with.get("dynamic_sampling/rounds").unwrap() >= 1.0);
        // What is said of the policy is what its own prompts gave.
        assert_eq!(with.get("reward"), without.get("reward"));
        assert!(with.get("frac_reward_zero_std").unwrap() > 0.0);
    }
    // The same again: what is drawn depends on the seed and the step.
    same_weights(&filled, &run(30), 0.0, "again");
    // Where nothing teaches, the rounds come to an end.
    let mut dull = trainer(dir.path(), |s| s.dynamic_sampling = 2);
    let metrics = dull.step(&rows(2), &mut rewards(Fixed(vec![Score::Value(1.0); 8])));
    assert_eq!(metrics.unwrap().get("dynamic_sampling/rounds"), Some(2.0));
}

#[test]
fn long_completions_are_punished() {
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = trainer(dir.path(), |s| {
        s.overlong_buffer = 2;
        s.stop_token_ids = Some(Vec::new());
    });
    let mut scores = vec![Score::Value(1.0); 7];
    scores.push(Score::Unscorable);
    let metrics = trainer.step(&rows(2), &mut rewards(Fixed(scores))).unwrap();
    assert_eq!(metrics.get("rewards/overlong/mean"), Some(-1.0));
    assert_eq!(metrics.get("rewards/fixed/mean"), Some(1.0));
    assert_eq!(metrics.get("reward"), Some(0.0));
}

#[test]
fn a_reference_can_follow() {
    let dir = tempfile::tempdir().unwrap();
    let run = |every: u64, adapters: bool| {
        let mut trainer = trainer(dir.path(), |s| {
            s.loss.beta = 0.5;
            s.ref_sync_steps = every;
            s.ref_model_mixup_alpha = 1.0;
            s.max_steps = 4;
            s.num_iterations = 2;
            s.lora = adapters.then(Default::default);
        });
        let data = Dataset::new(rows(8));
        trainer.train(&data, &mut rewards(Ids), &mut Quiet).unwrap();
        let kl = trainer.history.iter().map(|m| m.get("kl").unwrap());
        kl.collect::<Vec<_>>()
    };
    for adapters in [false, true] {
        let (fixed, followed) = (run(0, adapters), run(1, adapters));
        assert_eq!(fixed[0], followed[0]);
        assert!(fixed[3] > 2.0 * followed[3], "{fixed:?} {followed:?}");
    }
    let bad = GrpoTrainer::new(
        shared(tiny_language_model(21)),
        settings(dir.path(), |s| s.ref_sync_steps = 2),
    );
    assert!(bad.unwrap_err().to_string().contains("beta"));
}

/// A loss that asks to stop at its n-th call.
struct Stopping(u32);

impl PolicyLoss for Stopping {
    fn loss(
        &mut self,
        inputs: &LossInputs,
        settings: &LossSettings,
    ) -> Result<(Array, Vec<(String, Array)>)> {
        self.0 = self.0.saturating_sub(1);
        if self.0 == 0 {
            interrupt::set();
        }
        BuiltIn.loss(inputs, settings)
    }
}

/// Stopped within an accumulation window, the window is done again: nothing is lost or doubled.
#[test]
fn an_interrupt_between_micro_batches_changes_nothing() {
    let data = Dataset::new(rows(8));
    let make = |dir: &std::path::Path| {
        trainer(dir, |s| {
            s.gradient_accumulation_steps = 4;
            s.max_steps = 4;
        })
    };
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut never = Stopping(u32::MAX);
    let mut whole = make(dir.path());
    whole
        .train_with(&mut data.clone(), &mut rewards(Ids), &mut never, &mut Quiet)
        .unwrap();
    let mut stopped = make(other.path());
    // The sixth micro-batch is the second of the second step.
    let mut loss = Stopping(6);
    let report = stopped.train_with(&mut data.clone(), &mut rewards(Ids), &mut loss, &mut Quiet);
    interrupt::clear();
    let report = report.unwrap();
    assert!(report.interrupted);
    assert_eq!(report.steps, 1);
    let mut resumed = make(other.path());
    resumed.resume(&report.checkpoint).unwrap();
    resumed
        .train_with(&mut data.clone(), &mut rewards(Ids), &mut never, &mut Quiet)
        .unwrap();
    same_weights(&whole, &resumed, 0.0, "resumed");
    // The stopped trainer itself can go on, too.
    stopped
        .train_with(&mut data.clone(), &mut rewards(Ids), &mut never, &mut Quiet)
        .unwrap();
    same_weights(&whole, &stopped, 0.0, "gone on");
}

/// Not a number at every call from the n-th on.
struct Broken(u32);

impl PolicyLoss for Broken {
    fn loss(
        &mut self,
        inputs: &LossInputs,
        settings: &LossSettings,
    ) -> Result<(Array, Vec<(String, Array)>)> {
        let (value, metrics) = BuiltIn.loss(inputs, settings)?;
        self.0 = self.0.saturating_sub(1);
        let factor = if self.0 == 0 { f32::NAN } else { 1.0 };
        Ok((value.multiply(Array::from_f32(factor))?, metrics))
    }
}

#[test]
fn updates_that_are_not_finite_are_left_out_and_then_stop_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = trainer(dir.path(), |s| {
        s.optim.max_skipped_steps = 3;
        s.max_steps = 9;
    });
    let data = Dataset::new(rows(8));
    let mut loss = Broken(2);
    let outcome = trainer.train_with(&mut data.clone(), &mut rewards(Ids), &mut loss, &mut Quiet);
    assert!(
        matches!(
            outcome,
            Err(Error::NonFinite {
                times: 3,
                step: 4,
                ..
            })
        ),
        "{outcome:?}"
    );
    let skipped: Vec<_> = trainer
        .history
        .iter()
        .map(|m| m.get("skipped").unwrap())
        .collect();
    assert_eq!(skipped, [0.0, 1.0, 1.0]);
    assert!(trainer.model.borrow().network.arrays().iter().all(|a| {
        let sum = mlx_repl::tensor::item(&a.abs().unwrap().sum(false).unwrap());
        sum.unwrap().is_finite()
    }));
}
