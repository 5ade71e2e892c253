//! Decoding with drafts: greedy output unchanged, sampled output of the same distribution.

use crate::support::tiny;
use mlx_repl::cache::Kind;
use mlx_repl::generate::{
    Draft, EngineSettings, Generated, Request, Silent, Speculation, complete, speculate,
};
use mlx_repl::mlx::Dtype;
use mlx_repl::models::{Config, Qwen3};
use mlx_repl::sampling::{PenaltySettings, RowSettings, SamplerSettings};
use mlx_repl::tensor::{ids, to_f32};

fn request(prompt: &[i32], max_tokens: usize, sampler: SamplerSettings) -> Request {
    Request {
        prompt: prompt.to_vec(),
        max_tokens,
        sampling: RowSettings {
            sampler,
            penalties: PenaltySettings::default(),
        },
        stop_token_ids: vec![1],
        seed: 7,
    }
}

fn greedy() -> SamplerSettings {
    SamplerSettings {
        temperature: 0.0,
        ..SamplerSettings::default()
    }
}

fn with_draft(model: &Qwen3, requests: &[Request], draft: Draft, k: usize) -> Vec<Generated> {
    let how = Speculation {
        draft,
        num_draft_tokens: k,
    };
    let engine = EngineSettings::default();
    speculate(model, requests, &how, &engine, &mut Silent).unwrap()
}

#[test]
fn greedy_output_is_that_without_a_draft() {
    let (model, other) = (tiny(false, 31), tiny(true, 32));
    let mut requests: Vec<Request> = [vec![3, 4, 5], vec![9], vec![2, 2, 2, 2, 6]]
        .iter()
        .flat_map(|prompt| [1, 2, 3, 25].map(|n| request(prompt, n, greedy())))
        .collect();
    // Penalties look at the guesses that come before each position.
    for one in requests.iter_mut().skip(6) {
        one.sampling.penalties.repetition_penalty = 1.5;
        one.sampling.penalties.frequency_penalty = 0.3;
        one.sampling.penalties.frequency_context_size = 4;
    }
    let engine = EngineSettings::default();
    let plain = complete(&model, &requests, &engine, &mut Silent).unwrap();
    let drafts = [
        Draft::Model(&model),
        Draft::Model(&other),
        Draft::Ngram { longest: 3 },
    ];
    for draft in drafts {
        for k in [1, 3, 8] {
            let got = with_draft(&model, &requests, draft, k);
            for (got, plain) in got.iter().zip(&plain) {
                assert_eq!(got.token_ids, plain.token_ids, "{k} guesses");
                assert_eq!(got.finish, plain.finish);
                for (a, b) in got.logprobs.iter().zip(&plain.logprobs) {
                    assert!((a - b).abs() < 1e-4, "{a} {b}");
                }
            }
        }
    }
}

/// Of the three tokens after a prompt, how often each pair of the last two comes, against the
/// model's own probabilities.
#[test]
fn sampled_output_has_the_model_s_distribution() {
    let config = |layers: i32| {
        Config::from_json(serde_json::json!({
            "vocab_size": 5, "hidden_size": 8, "num_hidden_layers": layers,
            "num_attention_heads": 2, "initializer_range": 1.0, "tie_word_embeddings": true,
        }))
        .unwrap()
    };
    let model = Qwen3::random(config(1), 3, Dtype::Float32).unwrap();
    let small = Qwen3::random(config(1), 4, Dtype::Float32).unwrap();
    let prompt = [3, 4, 3];
    let temperature = 1.2;
    let sampler = SamplerSettings {
        temperature,
        ..SamplerSettings::default()
    };
    let exact = joint(&model, &prompt, temperature);
    for draft in [Draft::Model(&small), Draft::Ngram { longest: 2 }] {
        let count = 3000;
        let requests: Vec<Request> = (0..count)
            .map(|i| {
                let mut one = request(&prompt, 3, sampler.clone());
                one.seed = 1000 + i as u64;
                one.stop_token_ids = Vec::new();
                one
            })
            .collect();
        let mut seen = vec![0.0; exact.len()];
        for row in with_draft(&model, &requests, draft, 2) {
            let [a, b, c] = row.token_ids[..] else {
                panic!("three tokens")
            };
            seen[((a * 5 + b) * 5 + c) as usize] += 1.0;
        }
        let chi = chi_square(&exact, &seen, f64::from(count));
        // 0.1 % point of chi-square with up to 124 degrees of freedom.
        assert!(chi < 178.0, "{draft:?}: {chi}");
    }
}

/// Sum over classes that are expected at least five times, the others together.
fn chi_square(exact: &[f64], seen: &[f64], count: f64) -> f64 {
    let (mut chi, mut rest) = (0.0, (0.0, 0.0));
    for (p, n) in exact.iter().zip(seen) {
        let expected = p * count;
        if expected < 5.0 {
            rest = (rest.0 + expected, rest.1 + n);
        } else {
            chi += (n - expected).powi(2) / expected;
        }
    }
    if rest.0 > 0.0 {
        chi += (rest.1 - rest.0).powi(2) / rest.0;
    }
    chi
}

/// The probability of every three tokens.
fn joint(model: &Qwen3, prompt: &[i32], temperature: f32) -> Vec<f64> {
    let next = |text: &[i32]| -> Vec<f64> {
        let logits = model
            .forward(&ids(text, &[1, text.len() as i32]), None)
            .unwrap();
        let values = to_f32(&logits).unwrap();
        let last = &values[values.len() - 5..];
        let weights: Vec<f64> = last
            .iter()
            .map(|l| f64::from(l / temperature).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    };
    let mut all = Vec::new();
    let first = next(prompt);
    for a in 0..5 {
        let second = next(&[prompt, &[a]].concat());
        for b in 0..5 {
            let third = next(&[prompt, &[a, b]].concat());
            for c in third {
                all.push(first[a as usize] * second[b as usize] * c);
            }
        }
    }
    all
}

#[test]
fn a_draft_that_cannot_serve_is_refused() {
    let model = tiny(true, 33);
    let config = serde_json::json!({
        "vocab_size": 14, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    });
    let other = Qwen3::random(Config::from_json(config).unwrap(), 1, Dtype::Float32).unwrap();
    let asked = [request(&[3], 4, greedy())];
    let error = |draft, k, kind| {
        let how = Speculation {
            draft,
            num_draft_tokens: k,
        };
        let engine = EngineSettings {
            cache: kind,
            ..EngineSettings::default()
        };
        let outcome = speculate(&model, &asked, &how, &engine, &mut Silent);
        outcome.unwrap_err().to_string()
    };
    let ngram = Draft::Ngram { longest: 2 };
    assert!(error(Draft::Model(&other), 2, Kind::Full).contains("14 tokens"));
    assert!(error(ngram, 0, Kind::Full).contains("num_draft_tokens"));
    assert!(error(Draft::Ngram { longest: 0 }, 2, Kind::Full).contains("ngram_size"));
    let ring = Kind::Rotating {
        max_size: 8,
        keep: 0,
    };
    assert!(error(ngram, 2, ring).contains("rotating"));
}
