//! The work of `cargo xtask bench training`: whole GRPO steps, timed, as a line of JSON.
//!
//!     cargo bench --bench step -- CONFIG MODE PROMPTS SAMPLES PROMPT COMPLETION REPEATS
//!
//! CONFIG is the JSON of a Qwen3 configuration; weights are random, float32. MODE says how:
//!
//! | mode | what it does |
//! |---|---|
//! | `lean` | the trainer as it is by default |
//! | `checkpointed` | the trainer with `gradient_checkpointing` |
//! | `plain` | the same rollout, then one gradient trace of everything, logits and prompts included |
//! | `flat` | many steps of `lean`, and what is resident after some, half and all of them |
//!
//! `xtask/bench/trl_step.py` does the same step with TRL.

use mlx_repl::data::Row;
use mlx_repl::mlx::random::derive;
use mlx_repl::mlx::{self, Array, Dtype};
use mlx_repl::models::Config;
use mlx_repl::rl::loss::loss;
use mlx_repl::rl::{
    AdvantageSettings, GrpoSettings, GrpoTrainer, LossInputs, LossSettings, OnError, Reward,
    RewardOutput, Score, Scores, advantages,
};
use mlx_repl::tensor::select::entropy;
use mlx_repl::tensor::{item, selective_log_softmax};
use mlx_repl::text::{LanguageModel, Tokenizer, change};
use mlx_repl::train::{
    Batch, Metrics, OptimSettings, RunDir, Stepper, completion_logits, loss_and_grads,
};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::error::Error;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USAGE: &str = "CONFIG lean|checkpointed|plain|flat PROMPTS SAMPLES PROMPT COMPLETION REPEATS";
/// Ids below it are those of `<pad>` and `<eos>`.
const FIRST_WORD: i32 = 2;
/// After so many steps of `flat` every buffer that a step reuses has been made.
const SETTLED: usize = 20;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (config, mode, numbers) = match words.as_slice() {
        [config, mode, numbers @ ..] => (*config, *mode, numbers),
        // `cargo test --benches` starts every benchmark without arguments.
        _ => return Ok(()),
    };
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|n| n.parse())
        .collect::<Result<_, _>>()?;
    let &[prompts, samples, prompt, completion, repeats] = numbers.as_slice() else {
        return Err(USAGE.into());
    };
    let folder = tempfile::tempdir()?;
    let task = Task {
        prompts,
        samples,
        prompt,
        completion,
    };
    let trainer = task.trainer(config, folder.path(), mode == "checkpointed")?;
    let answer = match mode {
        "lean" | "checkpointed" => measured(&task, repeats, Lean::new(trainer))?,
        "plain" => measured(&task, repeats, Plain::new(trainer)?)?,
        "flat" => flat(&task, repeats, Lean::new(trainer))?,
        _ => return Err(USAGE.into()),
    };
    let mut line = json!({ "work": "grpo step", "mode": mode });
    for (key, value) in answer.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    println!("{line}");
    Ok(())
}

/// The sizes of a step.
struct Task {
    prompts: usize,
    samples: usize,
    /// Tokens of each prompt, and of each completion.
    prompt: usize,
    completion: usize,
}

impl Task {
    fn trainer(&self, config: &str, folder: &Path, checkpointed: bool) -> Outcome<GrpoTrainer> {
        let config = Config::from_json(serde_json::from_str(config)?)?;
        write_tokenizer(folder, config.vocab_size)?;
        let tokenizer = Tokenizer::load(folder)?;
        let model = LanguageModel::random(config, Some(tokenizer), 0, Dtype::Float32)?;
        let settings = GrpoSettings {
            prompts_per_step: self.prompts,
            num_generations: self.samples,
            max_completion_length: self.completion,
            // Nothing ends a completion before its last token.
            stop_token_ids: Some(Vec::new()),
            gradient_checkpointing: checkpointed,
            run_dir: Some(folder.join("run")),
            ..GrpoSettings::default()
        };
        Ok(GrpoTrainer::new(Rc::new(RefCell::new(model)), settings)?)
    }

    /// The rows of a step; no two prompts are the same.
    fn rows(&self, vocab: i32, step: usize) -> Vec<Row> {
        let words = (vocab - FIRST_WORD) as u64;
        let row = |i: usize| {
            let seed = derive(derive(7, step as u64), i as u64);
            let ids = (0..self.prompt).map(|t| derive(seed, t as u64) % words);
            let words: Vec<String> = ids.map(|id| format!("t{}", id + 2)).collect();
            let fields = [("prompt".to_string(), Value::from(words.join(" ")))];
            Row::new(fields.into_iter().collect())
        };
        (0..self.prompts).map(row).collect()
    }

    fn tokens(&self) -> usize {
        self.prompts * self.samples * self.completion
    }
}

/// One word for each id: `t7` is 7. Without a decoder words are joined by spaces, at which they
/// are split again. The two special tokens are no words: they would be found within longer ones.
fn write_tokenizer(folder: &Path, vocab_size: i32) -> Outcome {
    let special = ["<pad>", "<eos>"];
    let words = (FIRST_WORD..vocab_size).map(|id| format!("t{id}"));
    let names = special.iter().map(ToString::to_string).chain(words);
    let vocab: serde_json::Map<String, Value> = (0u64..)
        .zip(names)
        .map(|(id, name)| (name, id.into()))
        .collect();
    let added = (0..).zip(special).map(|(id, content)| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true })
    });
    let description = json!({
        "version": "1.0",
        "added_tokens": added.collect::<Vec<Value>>(),
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" },
    });
    let [pad, eos] = special;
    let config = json!({ "tokenizer_class": "PreTrainedTokenizerFast",
                         "pad_token": pad, "eos_token": eos });
    std::fs::write(folder.join("tokenizer.json"), description.to_string())?;
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string())?;
    Ok(())
}

/// The share of even ids, which differs between the completions of a group.
struct Even;

impl Reward for Even {
    fn name(&self) -> &str {
        "even"
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> mlx_repl::Result<Vec<Score>> {
        let share = |output: &RewardOutput| {
            let ids = &output.completion.token_ids;
            let even = ids.iter().filter(|id| *id % 2 == 0).count();
            Score::Value(even as f64 / ids.len() as f64)
        };
        Ok(outputs.iter().map(share).collect())
    }
}

/// A way to take steps.
trait Steps {
    /// Takes one; how many tokens were sampled, and the seconds that this took.
    fn step(&mut self, rows: &[Row]) -> Outcome<(usize, f64)>;

    fn trainer(&self) -> &GrpoTrainer;
}

/// The trainer's own step.
struct Lean {
    trainer: GrpoTrainer,
    rewards: [Box<dyn Reward>; 1],
}

impl Lean {
    fn new(trainer: GrpoTrainer) -> Self {
        Self {
            trainer,
            rewards: [Box::new(Even)],
        }
    }
}

impl Steps for Lean {
    fn step(&mut self, rows: &[Row]) -> Outcome<(usize, f64)> {
        let metrics = self.trainer.step(rows, &mut self.rewards)?;
        let number = |key: &str| metrics.get(key).ok_or(format!("no `{key}`"));
        let sampling = number("time/sample")?;
        let tokens = number("completions/mean_length")? * self.outputs() as f64;
        Ok((tokens.round() as usize, sampling))
    }

    fn trainer(&self) -> &GrpoTrainer {
        &self.trainer
    }
}

impl Lean {
    fn outputs(&self) -> usize {
        self.trainer.settings.prompts_per_step * self.trainer.settings.num_generations
    }
}

/// What the trainer would be without care for memory: prompts are forwarded for each completion,
/// and all logits are part of the trace.
struct Plain {
    trainer: GrpoTrainer,
    rewards: [Box<dyn Reward>; 1],
    stepper: Stepper,
    run: RunDir,
    steps: u64,
}

impl Plain {
    fn new(trainer: GrpoTrainer) -> Outcome<Self> {
        let folder = trainer.settings.run_dir.as_deref();
        Ok(Self {
            run: RunDir::create(folder, "grpo", 0)?,
            trainer,
            rewards: [Box::new(Even)],
            stepper: Stepper::new(OptimSettings::at(1e-6))?,
            steps: 0,
        })
    }
}

impl Steps for Plain {
    fn step(&mut self, rows: &[Row]) -> Outcome<(usize, f64)> {
        mlx::memory::reset_peak()?;
        // 1. Sample and score.
        let start = Instant::now();
        let rollout = self.trainer.rollout(rows)?;
        let scores = Scores::ask(
            &mut self.rewards,
            &rollout.outputs,
            OnError::Abort,
            &mut Vec::new(),
        )?;
        let group = rollout.num_generations;
        let advantages = advantages(&scores.values, group, &AdvantageSettings::default())?;
        let sampling = start.elapsed().as_secs_f64();
        // 2. Learn.
        let pairs: Vec<(&[i32], &[i32])> = rollout
            .outputs
            .iter()
            .map(|output| {
                let prompt = rollout.prompt_ids[output.group].as_slice();
                (prompt, output.completion.token_ids.as_slice())
            })
            .collect();
        let batch = Batch::new(&pairs);
        let rows = pairs.len() as i32;
        let advantages: Vec<f32> = advantages.iter().map(|a| *a as f32).collect();
        let advantages = Array::from_slice(&advantages, &[rows]);
        let tokens = batch.targets().size();
        let mask = batch.to_rows(&Array::ones::<f32>(&[tokens as i32])?)?;
        let settings = LossSettings::default();
        let mut model = change(&self.trainer.model)?;
        let (values, grads) = loss_and_grads(&model.network, |network| {
            let logits = completion_logits(network, &batch, 1.0, None)?;
            let logprobs = batch.to_rows(&selective_log_softmax(&logits, batch.targets())?)?;
            let inputs = LossInputs::new(&logprobs, &advantages, &mask);
            let (value, _) = loss(&inputs, &settings)?;
            Ok(vec![value, entropy(&logits)?.mean(false)?])
        })?;
        // Together, or what one of them needs would be kept for it, or computed twice.
        mlx::eval(values.iter().chain(&grads))?;
        self.stepper.accumulate(grads)?;
        let network = &mut model.network;
        let outcome = self.stepper.apply(network, true, self.steps, u64::MAX)?;
        // 3. Write down.
        self.steps += 1;
        let mut metrics = Metrics::default();
        metrics.set("step", self.steps as f64);
        metrics.set("loss", f64::from(item(&values[0])?));
        metrics.set("entropy", f64::from(item(&values[1])?));
        metrics.set("grad_norm", outcome.grad_norm);
        self.run.append_metrics(&metrics)?;
        Ok((tokens, sampling))
    }

    fn trainer(&self) -> &GrpoTrainer {
        &self.trainer
    }
}

/// Times steps after one that is not counted.
fn measured(task: &Task, repeats: usize, mut steps: impl Steps) -> Outcome<Value> {
    let vocab = steps.trainer().model.borrow().network.config.vocab_size;
    let resident = memory("VmRSS")?;
    let (mut seconds, mut sampling, mut peak) = (Vec::new(), Vec::new(), 0);
    let mut cpu = 0.0;
    for step in 0..=repeats {
        let rows = task.rows(vocab, step);
        let (start, cpu_start) = (Instant::now(), cpu_seconds());
        let (tokens, of_sampling) = steps.step(&rows)?;
        if tokens != task.tokens() {
            return Err(format!("{tokens} tokens in the place of {}", task.tokens()).into());
        }
        if step > 0 {
            seconds.push(start.elapsed().as_secs_f64());
            sampling.push(of_sampling);
            cpu += cpu_seconds() - cpu_start;
        }
        peak = peak.max(mlx::memory::memory()?.peak);
    }
    Ok(json!({
        "seconds": seconds, "sampling_seconds": sampling,
        "cpu_seconds": cpu / repeats.max(1) as f64, "tokens": task.tokens(),
        "peak_rss_mb": memory("VmHWM")?, "start_rss_mb": resident, "peak_mlx_mb": peak as f64 / 1e6,
    }))
}

/// What is resident after some steps, half and all of them.
fn flat(task: &Task, repeats: usize, mut steps: impl Steps) -> Outcome<Value> {
    if !cfg!(target_os = "linux") {
        return Err(
            "`flat` needs Linux: elsewhere only the most that was resident is known".into(),
        );
    }
    let vocab = steps.trainer().model.borrow().network.config.vocab_size;
    let start_rss = memory("VmRSS")?;
    let (mut counts, mut resident, mut mlx_mb) = (Vec::new(), Vec::new(), Vec::new());
    let start = Instant::now();
    for step in 1..=repeats {
        steps.step(&task.rows(vocab, step))?;
        if [SETTLED, repeats / 2, repeats].contains(&step) {
            counts.push(step);
            resident.push(memory("VmRSS")?);
            let held = mlx::memory::memory()?;
            mlx_mb.push([held.active as f64 / 1e6, held.cache as f64 / 1e6]);
        }
    }
    Ok(json!({
        "steps": counts, "rss_mb": resident, "mlx_active_and_cache_mb": mlx_mb,
        "seconds": start.elapsed().as_secs_f64(), "tokens": task.tokens(),
        "peak_rss_mb": memory("VmHWM")?, "start_rss_mb": start_rss,
    }))
}

/// Seconds of all processors that this process has had; other work on the machine changes them
/// less than those of the clock.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call fills in the structure that it is given; of a failure the zeros stay.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Megabytes that are resident (`VmRSS`) or were at most (`VmHWM`). What `getrusage` says on Linux
/// begins with the size of the program that started this one.
#[cfg(target_os = "linux")]
fn memory(key: &str) -> Outcome<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let mut words = text.lines().map(|line| line.split_whitespace());
    let found = words.find_map(|mut words| {
        let is_it = words.next()?.strip_suffix(':')? == key;
        is_it.then(|| words.next()?.parse::<f64>().ok())?
    });
    let kilobytes = found.ok_or(format!("no {key}"))?;
    Ok(kilobytes * 1024.0 / 1e6)
}

/// Megabytes that were resident at most: before the first step, what is resident then, unless
/// loading took more.
#[cfg(not(target_os = "linux"))]
fn memory(_: &str) -> Outcome<f64> {
    // SAFETY: zeros are values of all its numbers, and the call writes nothing else.
    let (code, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::getrusage(libc::RUSAGE_SELF, &mut usage), usage)
    };
    let unit = if cfg!(target_os = "macos") {
        1.0
    } else {
        1024.0
    };
    match code {
        0 => Ok(usage.ru_maxrss as f64 * unit / 1e6),
        _ => Err("getrusage failed".into()),
    }
}
