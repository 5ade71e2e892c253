//! What the supervised trainer learns of a row, and how rows become steps.

use crate::support::{shared, tiny};
use mlx_repl::data::{Dataset, Row};
use mlx_repl::mlx::Dtype;
use mlx_repl::models::{Config, Qwen3};
use mlx_repl::nn::Params;
use mlx_repl::sft::{SftSettings, SftTrainer, Truncation, encode, encode_row};
use mlx_repl::text::{LanguageModel, Tokenizer};
use mlx_repl::train::{Metrics, Observer, OptimSettings, Progress, Quiet};
use serde_json::{Value, json};
use std::path::Path;

pub fn row(value: Value) -> Row {
    let Value::Object(fields) = value else {
        unreachable!()
    };
    Row::new(fields)
}

fn dataset(rows: impl IntoIterator<Item = Value>) -> Dataset {
    Dataset::new(rows.into_iter().map(row).collect())
}

/// A model over printable characters with a plain chat template.
fn model() -> LanguageModel {
    let template = "{% if tools %}tools\n{% endif %}{% for m in messages %}\
                    [{{ m.role }}]{{ prefix }}{{ m.content }}<eos>\n{% endfor %}\
                    {% if add_generation_prompt %}[assistant]{{ prefix }}{% endif %}";
    let alphabet: String = (' '..='~').chain(['\n']).collect();
    let config = Config::from_json(json!({
        "vocab_size": 98, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    }));
    LanguageModel {
        network: Qwen3::random(config.unwrap(), 1, Dtype::Float32).unwrap(),
        tokenizer: Some(
            Tokenizer::characters(&alphabet)
                .unwrap()
                .with_template(template)
                .unwrap(),
        ),
        eos_token_ids: vec![1],
        generation: serde_json::Map::new(),
    }
}

/// A row's text with what is learnt of it in braces.
fn shown(value: Value, change: impl Fn(&mut SftSettings)) -> String {
    let mut settings = SftSettings::default();
    change(&mut settings);
    let model = model();
    let document = encode_row(&model, &row(value), &settings).unwrap();
    assert_eq!(document.ids.len(), document.learnt.len());
    let (mut text, mut before) = (String::new(), false);
    for (id, learnt) in document.ids.iter().zip(&document.learnt) {
        match (before, *learnt) {
            (false, true) => text.push('{'),
            (true, false) => text.push('}'),
            _ => {}
        }
        text.push_str(&model.tokenizer().unwrap().token(*id).unwrap());
        before = *learnt;
    }
    text + if before { "}" } else { "" }
}

#[test]
fn each_form_of_a_row_has_its_targets() {
    let plain = |value: Value| shown(value, |_| ());
    assert_eq!(plain(json!({ "text": "abc" })), "a{bc<eos>}");
    assert_eq!(plain(json!({ "text": "abc<eos>" })), "a{bc<eos>}");
    let pair = json!({ "prompt": "ab", "completion": "cd" });
    assert_eq!(plain(pair.clone()), "ab{cd<eos>}");
    assert_eq!(
        shown(pair, |s| s.completion_only_loss = false),
        "a{bcd<eos>}"
    );
    assert_eq!(plain(json!({ "prompt": "ab", "answer": 7 })), "ab{7<eos>}");
    assert_eq!(
        plain(json!({ "prompt": "ab", "completion": "" })),
        "ab{<eos>}"
    );
    let ask = json!([{ "role": "user", "content": "q" }]);
    let answer = json!([{ "role": "assistant", "content": "a" }]);
    let whole = "[user]q<eos>\n[assistant]{a<eos>\n}";
    let conversational = json!({ "prompt": ask, "completion": answer });
    assert_eq!(plain(conversational.clone()), whole);
    let all = shown(conversational, |s| s.completion_only_loss = false);
    assert_eq!(all, "[{user]q<eos>\n[assistant]a<eos>\n}");
    assert_eq!(plain(json!({ "prompt": ask, "answer": "a" })), whole);
    assert_eq!(plain(json!({ "messages": ask, "answer": "a" })), whole);
    let both = json!([ask[0], answer[0], ask[0], answer[0]]);
    let messages = json!({ "messages": both, "answer": "unused" });
    assert_eq!(
        plain(messages.clone()),
        "[{user]q<eos>\n[assistant]a<eos>\n[user]q<eos>\n[assistant]a<eos>\n}"
    );
    assert_eq!(
        shown(messages, |s| s.assistant_only_loss = true),
        "[user]q<eos>\n[assistant]{a<eos>}\n[user]q<eos>\n[assistant]{a<eos>}\n"
    );
    let told = json!({ "messages": [ask[0], answer[0]], "tools": [{ "name": "t" }],
                       "chat_template_kwargs": { "prefix": ">" } });
    assert_eq!(
        shown(told, |s| s.assistant_only_loss = true),
        "tools\n[user]>q<eos>\n[assistant]>{a<eos>}\n"
    );
}

/// mlx-lm's trainer loses or gains a target of a row by its padding.
#[test]
fn no_target_is_lost_or_gained() {
    let model = model();
    let settings = SftSettings::default();
    let mut rows = Vec::new();
    for n in 1..40 {
        rows.push(json!({ "prompt": "ab", "completion": "x".repeat(n) }));
        rows.push(json!({ "text": "y".repeat(n) }));
    }
    let encoded = encode(&model, &dataset(rows), &settings).unwrap();
    for (i, pair) in encoded.documents.chunks(2).enumerate() {
        let n = i + 1;
        assert_eq!((pair[0].ids.len(), pair[0].num_learnt()), (n + 3, n + 1));
        assert_eq!((pair[1].ids.len(), pair[1].num_learnt()), (n + 1, n));
    }
    // The mean over a dataset is the mean over exactly these, whatever they are batched with.
    let trainer = |batch_size: usize| {
        let settings = SftSettings {
            batch_size,
            ..SftSettings::default()
        };
        SftTrainer::new(shared(self::model()), settings).unwrap()
    };
    let rows = [
        json!({ "text": "abcdef" }),
        json!({ "prompt": "a", "completion": "b" }),
    ];
    let alone = rows
        .clone()
        .map(|r| trainer(1).evaluate(&dataset([r])).unwrap());
    let together = trainer(2).evaluate(&dataset(rows)).unwrap();
    let expected = (6.0 * alone[0] + 2.0 * alone[1]) / 8.0;
    assert!((together - expected).abs() < 1e-6, "{together} {expected}");
}

#[test]
fn a_bad_row_is_named() {
    let model = model();
    let good = json!({ "text": "abc" });
    let refused = |bad: Value, change: &dyn Fn(&mut SftSettings)| {
        let mut settings = SftSettings::default();
        change(&mut settings);
        let error = encode(&model, &dataset([good.clone(), bad]), &settings).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("row 1: "), "{error}");
        error
    };
    let ask = json!([{ "role": "user", "content": "q" }]);
    assert!(refused(json!({ "question": "a" }), &|_| ()).contains("question"));
    assert!(refused(json!({ "prompt": "a" }), &|_| ()).contains("completion"));
    assert!(refused(json!({ "prompt": "", "completion": "a" }), &|_| ()).contains("empty prompt"));
    assert!(refused(json!({ "text": "\u{e9}" }), &|_| ()).contains("alphabet"));
    assert!(refused(json!({ "messages": [] }), &|_| ()).contains("at least one message"));
    let long = refused(json!({ "text": "abcdef" }), &|s| s.max_length = 5);
    assert!(
        long.contains("7 tokens") && long.contains("keep_start"),
        "{long}"
    );
    let mute = refused(json!({ "messages": ask }), &|s| {
        s.assistant_only_loss = true
    });
    assert!(
        mute.contains("no token") && mute.contains("assistant"),
        "{mute}"
    );
    let kwargs = json!({ "messages": ask, "chat_template_kwargs": 1 });
    assert!(refused(kwargs, &|_| ()).contains("chat_template_kwargs"));
    let none = encode(&model, &dataset([]), &SftSettings::default());
    assert!(none.unwrap_err().to_string().contains("no rows"));
}

/// Keeps the notes of a run.
#[derive(Default)]
struct Notes(Vec<String>);

impl Observer for Notes {
    fn step(&mut self, _: &Progress) {}
    fn note(&mut self, text: &str) {
        self.0.push(text.to_string());
    }
    fn end(&mut self) {}
}

fn digits() -> LanguageModel {
    LanguageModel {
        network: tiny(true, 23),
        tokenizer: Some(Tokenizer::characters("0123456789=").unwrap()),
        eos_token_ids: vec![1],
        generation: serde_json::Map::new(),
    }
}

fn sums(n: usize) -> Dataset {
    let long = |i: usize| "7".repeat(1 + i % 5);
    dataset((0..n).map(|i| json!({ "prompt": format!("{i}="), "completion": long(i) })))
}

fn trainer(dir: &Path, change: impl Fn(&mut SftSettings)) -> SftTrainer {
    let mut settings = SftSettings {
        batch_size: 2,
        optim: OptimSettings::at(1e-2),
        run_dir: Some(dir.to_path_buf()),
        ..SftSettings::default()
    };
    change(&mut settings);
    SftTrainer::new(shared(digits()), settings).unwrap()
}

#[test]
fn a_run_without_steps_left_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = trainer(dir.path(), |s| s.max_steps = 2);
    let mut notes = Notes::default();
    assert_eq!(trainer.train(&sums(4), &mut notes).unwrap().steps, 2);
    assert!(notes.0.is_empty(), "{:?}", notes.0);
    let again = trainer.train(&sums(4), &mut notes).unwrap();
    assert_eq!((again.steps, notes.0.len()), (0, 1));
    assert!(notes.0[0].contains("all of its 2 steps"), "{:?}", notes.0);
    // What the run came to is known still.
    let last = trainer.history.last().unwrap().get("loss");
    assert_eq!(Some(again.last_loss), last);
}

#[test]
fn what_is_cut_is_counted_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = trainer(dir.path(), |s| {
        s.max_length = 4;
        s.truncation = Truncation::KeepStart;
        s.batch_size = 1;
    });
    let rows = dataset([
        json!({ "prompt": "1=", "completion": "777" }),
        json!({ "prompt": "1234=", "completion": "7" }),
        json!({ "prompt": "2=", "completion": "7" }),
    ]);
    let mut notes = Notes::default();
    let report = trainer.train(&rows, &mut notes).unwrap();
    assert_eq!(report.steps, 2);
    assert_eq!(notes.0.len(), 1);
    assert!(notes.0[0].contains("1 of 3 rows"), "{:?}", notes.0);
    // Both kept rows fill four tokens.
    let last = trainer.history.last().unwrap();
    assert_eq!(last.get("num_tokens"), Some(8.0));
    trainer.settings.max_length = 1;
    let error = trainer.train(&rows, &mut Quiet).unwrap_err().to_string();
    assert!(error.contains("max_length"), "{error}");
}

#[test]
fn an_epoch_is_every_row_once_and_its_metrics_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let tokens: usize = (0..7).map(|i| format!("{i}=").len() + 2 + i % 5).sum();
    for packing in [false, true] {
        let mut trainer = trainer(dir.path(), |s| {
            s.packing = packing;
            s.max_length = 16;
            s.num_epochs = 2;
            s.gradient_accumulation_steps = 2;
            s.eval_dataset = Some(sums(3));
            s.eval_steps = 2;
        });
        let report = trainer.train(&sums(7), &mut Quiet).unwrap();
        let get = |m: &Metrics, name: &str| m.get(name);
        let last = trainer.history.last().unwrap();
        assert_eq!(get(last, "epoch"), Some(2.0));
        assert_eq!(get(last, "num_tokens"), Some(2.0 * tokens as f64));
        // Two steps of two batches of two rows, and packed into one step.
        let expected = if packing { 2 } else { 4 };
        assert_eq!(
            (report.steps, trainer.history.len()),
            (expected, expected as usize)
        );
        for metrics in &trainer.history {
            let even = get(metrics, "step").unwrap() % 2.0 == 0.0;
            assert_eq!(get(metrics, "eval_loss").is_some(), even);
        }
        let eval = trainer.evaluate(&sums(3)).unwrap();
        assert_eq!(get(last, "eval_loss"), Some(eval));
    }
}

/// What shares a row or a batch is a matter of speed: in one step over everything it changes nothing.
#[test]
fn packing_and_grouping_change_no_gradient() {
    let dir = tempfile::tempdir().unwrap();
    let run = |packing: bool, group_by_length: bool| {
        let mut trainer = trainer(dir.path(), |s| {
            (s.packing, s.group_by_length) = (packing, group_by_length);
            s.max_length = 16;
            s.batch_size = 8;
            s.max_steps = 1;
            s.optim.optimizer = "sgd".into();
        });
        trainer.train(&sums(8), &mut Quiet).unwrap();
        let metrics = trainer.history[0].clone();
        (
            metrics.get("loss").unwrap(),
            metrics.get("grad_norm").unwrap(),
        )
    };
    let (loss, norm) = run(false, false);
    for (packing, grouping) in [(false, true), (true, false), (true, true)] {
        let (other, other_norm) = run(packing, grouping);
        assert!((loss - other).abs() < 1e-5 && (norm - other_norm).abs() < 1e-4 * norm);
    }
}

/// The gradient of a document with gaps is that of its parts: what is not learnt weighs nothing.
#[test]
fn only_what_is_learnt_moves_the_weights() {
    let dir = tempfile::tempdir().unwrap();
    let ask = |content: &str| json!({ "role": "user", "content": content });
    let say = |content: &str| json!({ "role": "assistant", "content": content });
    let loss = |assistant_only: bool| {
        let settings = SftSettings {
            assistant_only_loss: assistant_only,
            run_dir: Some(dir.path().to_path_buf()),
            ..SftSettings::default()
        };
        let trainer = SftTrainer::new(shared(model()), settings.clone()).unwrap();
        let value = json!({ "messages": [ask("q"), say("one"), ask("r"), say("two")] });
        let document = encode_row(&model(), &row(value.clone()), &settings).unwrap();
        let mean = trainer.evaluate(&dataset([value])).unwrap();
        (document, mean)
    };
    let (document, mean) = loss(true);
    // By hand: the log-probability of every id after those before it.
    let model = model();
    let logprobs: Vec<f64> = (1..document.ids.len())
        .map(|i| {
            let ids = mlx_repl::mlx::Array::from_slice(&document.ids[..i], &[1, i as i32]);
            let logits = model.network.forward(&ids, None).unwrap();
            let logits = mlx_repl::tensor::to_f32(&logits).unwrap();
            let last = &logits[logits.len() - 98..];
            let sum: f64 = last.iter().map(|x| f64::from(*x).exp()).sum();
            f64::from(last[document.ids[i] as usize]) - sum.ln()
        })
        .collect();
    let learnt = |i: &usize| document.learnt[i + 1];
    let chosen: Vec<f64> = (0..logprobs.len())
        .filter(learnt)
        .map(|i| logprobs[i])
        .collect();
    assert_eq!(chosen.len(), 8);
    let expected = -chosen.iter().sum::<f64>() / 8.0;
    assert!((mean - expected).abs() < 1e-5, "{mean} {expected}");
    let (_, all) = loss(false);
    let expected = -logprobs.iter().sum::<f64>() / logprobs.len() as f64;
    assert!((all - expected).abs() < 1e-5, "{all} {expected}");
    assert!(!model.network.named().is_empty());
}
