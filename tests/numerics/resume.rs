//! A run that is stopped and resumed is, to the bit, the run that was not.

use crate::supervised::row;
use crate::support::{shared, tiny};
use crate::training::{Ids, rewards, rows};
use mlx_repl::checkpoint::read;
use mlx_repl::data::Dataset;
use mlx_repl::mlx::{Array, Dtype, bytes, eval};
use mlx_repl::models::{LoraSettings, Qwen3};
use mlx_repl::nn::Params;
use mlx_repl::rl::{GrpoSettings, GrpoTrainer};
use mlx_repl::sft::{SftSettings, SftTrainer};
use mlx_repl::text::{LanguageModel, Tokenizer};
use mlx_repl::train::{OptimSettings, Quiet, RunDir};
use serde_json::json;
use std::path::Path;

fn model(dtype: Dtype) -> LanguageModel {
    let network = tiny(true, 29);
    LanguageModel {
        network: Qwen3::random(network.config, 29, dtype).unwrap(),
        tokenizer: Some(Tokenizer::characters("0123456789=").unwrap()),
        eos_token_ids: vec![1],
        generation: serde_json::Map::new(),
    }
}

fn data(n: usize) -> Dataset {
    let rows = (0..n)
        .map(|i| row(json!({ "prompt": format!("{i}="), "completion": "7".repeat(1 + i % 4) })));
    Dataset::new(rows.collect())
}

fn sft(dir: &Path, dtype: Dtype, change: impl Fn(&mut SftSettings)) -> SftTrainer {
    let mut settings = SftSettings {
        batch_size: 2,
        gradient_accumulation_steps: 2,
        optim: OptimSettings::at(1e-2),
        run_dir: Some(dir.to_path_buf()),
        max_steps: 5,
        save_steps: 1,
        save_total_limit: 0,
        ..SftSettings::default()
    };
    change(&mut settings);
    SftTrainer::new(shared(model(dtype)), settings).unwrap()
}

/// The bits of every trained array.
fn bits(network: &Qwen3) -> Vec<Vec<u8>> {
    let arrays = network.trained_arrays();
    let whole: Vec<Array> = arrays.iter().map(|a| a.contiguous().unwrap()).collect();
    eval(&whole).unwrap();
    whole.iter().map(|a| bytes(a).unwrap().to_vec()).collect()
}

/// The history without what the clock says.
fn history(metrics: &[mlx_repl::train::Metrics]) -> Vec<Vec<(String, u64)>> {
    let clock = |name: &str| {
        name.starts_with("time/")
            || name.starts_with("tokens_per_second")
            || ["step_time", "peak_memory_gb"].contains(&name)
    };
    let rows = metrics.iter().map(|m| {
        let values = m.values.iter().filter(|(name, _)| !clock(name));
        values
            .map(|(name, value)| (name.clone(), value.to_bits()))
            .collect()
    });
    rows.collect()
}

fn optimizer_bits(checkpoint: &Path) -> Vec<(String, Vec<u8>)> {
    let arrays = read(&checkpoint.join("optimizer.safetensors")).unwrap();
    eval(arrays.values()).unwrap();
    let mut list: Vec<_> = arrays
        .into_iter()
        .map(|(name, array)| (name, bytes(&array).unwrap().to_vec()))
        .collect();
    list.sort();
    list
}

#[test]
fn supervised_runs_resume_to_the_bit_at_any_step() {
    let lora = || LoraSettings {
        rank: 2,
        dropout: 0.2,
        ..LoraSettings::default()
    };
    let optimizers = [
        "sgd",
        "adamw",
        "adamax",
        "rmsprop",
        "adagrad",
        "adadelta",
        "adafactor",
        "lion",
        "muon",
    ];
    let kinds = optimizers.iter().enumerate().flat_map(|(i, name)| {
        // Each optimiser in one way, and the usual one in all.
        let all = [
            (Dtype::Float32, false),
            (Dtype::Bfloat16, false),
            (Dtype::Float32, true),
            (Dtype::Bfloat16, true),
        ];
        let chosen = if *name == "adamw" {
            all.to_vec()
        } else {
            vec![all[i % 4]]
        };
        chosen.into_iter().map(move |kind| (*name, kind))
    });
    for (i, (name, (dtype, adapted))) in kinds.enumerate() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let change = |s: &mut SftSettings| {
            s.optim.optimizer = name.into();
            s.lora = adapted.then(lora);
            s.packing = i % 2 == 1;
            s.max_length = 12;
        };
        let mut whole = sft(dir.path(), dtype, change);
        // Nine rows are three steps of an epoch unpacked: stops fall into both epochs.
        whole.train(&data(9), &mut Quiet).unwrap();
        let steps = if name == "adamw" { 1..5 } else { 2..3 };
        for step in steps {
            let mut resumed = sft(other.path(), dtype, change);
            let checkpoint = dir.path().join(format!("checkpoints/step-{step:06}"));
            resumed.resume(&checkpoint).unwrap();
            assert_eq!(resumed.steps(), step);
            resumed.train(&data(9), &mut Quiet).unwrap();
            let case = format!("{name} {dtype:?} adapted {adapted} from {step}");
            assert_eq!(history(&whole.history), history(&resumed.history), "{case}");
            let networks = [&whole, &resumed].map(|t| bits(&t.model.borrow().network));
            assert!(networks[0] == networks[1], "{case}");
            let last = |dir: &Path| optimizer_bits(&dir.join("checkpoints/step-000005"));
            assert!(last(dir.path()) == last(other.path()), "{case}");
        }
    }
}

fn grpo(dir: &Path, dtype: Dtype, change: impl Fn(&mut GrpoSettings)) -> GrpoTrainer {
    let mut settings = GrpoSettings {
        prompts_per_step: 2,
        num_generations: 4,
        max_completion_length: 4,
        optim: OptimSettings::at(1e-2),
        run_dir: Some(dir.to_path_buf()),
        max_steps: 5,
        save_steps: 1,
        save_total_limit: 0,
        gradient_accumulation_steps: 2,
        ..GrpoSettings::default()
    };
    change(&mut settings);
    GrpoTrainer::new(shared(model(dtype)), settings).unwrap()
}

#[test]
fn reinforced_runs_resume_to_the_bit_at_any_step() {
    let kinds = [
        (Dtype::Float32, false, 0.05, 1),
        (Dtype::Bfloat16, false, 0.0, 2),
        (Dtype::Float32, true, 0.05, 1),
    ];
    for (dtype, adapted, beta, num_iterations) in kinds {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let change = |s: &mut GrpoSettings| {
            s.loss.beta = beta;
            s.num_iterations = num_iterations;
            s.lora = adapted.then(|| LoraSettings {
                rank: 2,
                dropout: 0.2,
                ..LoraSettings::default()
            });
        };
        let data = Dataset::new(rows(6));
        let mut whole = grpo(dir.path(), dtype, change);
        whole.train(&data, &mut rewards(Ids), &mut Quiet).unwrap();
        for step in [1, 3, 4] {
            let mut resumed = grpo(other.path(), dtype, change);
            let checkpoint = dir.path().join(format!("checkpoints/step-{step:06}"));
            resumed.resume(&checkpoint).unwrap();
            resumed.train(&data, &mut rewards(Ids), &mut Quiet).unwrap();
            let case = format!("{dtype:?} adapted {adapted} from {step}");
            assert_eq!(history(&whole.history), history(&resumed.history), "{case}");
            let networks = [&whole, &resumed].map(|t| bits(&t.model.borrow().network));
            assert!(networks[0] == networks[1], "{case}");
        }
    }
}

#[test]
fn a_run_resumes_from_its_folder_and_keeps_its_last_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let limited = |steps: u64| {
        sft(dir.path(), Dtype::Float32, |s| {
            s.max_steps = steps;
            s.save_total_limit = 2;
        })
    };
    let error = limited(2).resume(dir.path()).unwrap_err().to_string();
    assert!(error.contains("not a checkpoint of a trainer"), "{error}");
    std::fs::create_dir_all(dir.path().join("checkpoints")).unwrap();
    let error = limited(2).resume(dir.path()).unwrap_err().to_string();
    assert!(error.contains("no complete checkpoint"), "{error}");
    limited(4).train(&data(9), &mut Quiet).unwrap();
    let names = || {
        let entries = std::fs::read_dir(dir.path().join("checkpoints")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["step-000003", "step-000004"]);
    let mut resumed = limited(6);
    resumed.resume(dir.path()).unwrap();
    assert_eq!(resumed.steps(), 4);
    resumed.train(&data(9), &mut Quiet).unwrap();
    assert_eq!(names(), ["step-000005", "step-000006"]);
    let latest = RunDir::latest_in(dir.path()).unwrap().unwrap();
    assert!(latest.ends_with("checkpoints/step-000006"));
    let table = std::fs::read_to_string(dir.path().join("metrics.csv")).unwrap();
    assert_eq!(table.lines().count(), 7);
}

#[test]
fn a_resume_that_would_be_another_run_is_refused() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    sft(dir.path(), Dtype::Float32, |_| ())
        .train(&data(9), &mut Quiet)
        .unwrap();
    let refused = |change: &dyn Fn(&mut SftSettings)| {
        let mut trainer = sft(other.path(), Dtype::Float32, change);
        let before = bits(&trainer.model.borrow().network);
        let error = trainer.resume(dir.path()).unwrap_err().to_string();
        assert!(before == bits(&trainer.model.borrow().network) && trainer.steps() == 0);
        error
    };
    let error = refused(&|s| s.seed = 7);
    assert_eq!(
        error,
        "setting `seed`: found 7; expected the checkpoint's, 42"
    );
    assert!(refused(&|s| s.batch_size = 3).contains("`batch_size`: found 3"));
    assert!(refused(&|s| s.optim.learning_rate = 0.5).contains("`learning_rate`"));
    assert!(refused(&|s| s.lora = Some(LoraSettings::default())).contains("`lora`"));
    let mut trainer = sft(other.path(), Dtype::Float32, |s| s.max_steps = 9);
    trainer.resume(dir.path()).unwrap();
    let error = trainer.train(&data(8), &mut Quiet).unwrap_err().to_string();
    assert!(
        error.contains("8 rows") && error.contains("9 rows"),
        "{error}"
    );
    assert_eq!(trainer.steps(), 5);
    trainer.train(&data(9), &mut Quiet).unwrap();
    assert_eq!(trainer.steps(), 9);
    let wrong = grpo(other.path(), Dtype::Float32, |_| ()).resume(dir.path());
    let error = wrong.unwrap_err().to_string();
    assert!(error.contains("`trainer`: found \"grpo\""), "{error}");
    // A truncated file is found before anything is changed.
    let latest = RunDir::latest_in(dir.path()).unwrap().unwrap();
    let path = latest.join("optimizer.safetensors");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    assert!(refused(&|_| ()).contains("truncated"));
}
