//! Continuous batching: every request as it would be alone, whatever shares its batch.

use crate::support::tiny;
use mlx_repl::cache::Kind;
use mlx_repl::generate::{
    EngineSettings, Finish, GenerateSettings, Generated, Next, Observer, Request, Silent, complete,
    continue_cache, generate,
};
use mlx_repl::mlx::Dtype;
use mlx_repl::models::{Config, Qwen3};
use mlx_repl::sampling::{PenaltySettings, RowSettings, SamplerSettings};

/// Prompts and numbers of tokens of many lengths, and settings of many kinds.
fn requests(count: usize) -> Vec<Request> {
    (0..count)
        .map(|i| {
            let length = 1 + (i * 5) % 9;
            let prompt = (0..length).map(|j| ((i * 7 + j * 3) % 13) as i32).collect();
            Request {
                prompt,
                max_tokens: 1 + (i * 11) % 17,
                sampling: sampling(i),
                stop_token_ids: if i % 3 == 0 { vec![1, 2] } else { Vec::new() },
                seed: 100 + i as u64,
            }
        })
        .collect()
}

fn sampling(i: usize) -> RowSettings {
    let mut sampler = SamplerSettings {
        temperature: [0.0, 1.0, 0.7, 1.3][i % 4],
        ..SamplerSettings::default()
    };
    let mut penalties = PenaltySettings::default();
    match i % 7 {
        1 => sampler.top_p = 0.8,
        2 => sampler.top_k = 3 + (i % 2) as i32,
        3 => sampler.min_p = 0.2,
        4 => penalties.repetition_penalty = 1.3,
        5 => {
            penalties.frequency_penalty = 0.4;
            penalties.frequency_context_size = 3;
            penalties.logit_bias = vec![(4, -2.0), (5, 1.0)];
        }
        6 => {
            sampler.xtc_probability = 0.5;
            penalties.presence_penalty = 0.5;
        }
        _ => {}
    }
    RowSettings { sampler, penalties }
}

fn engine(change: impl Fn(&mut EngineSettings)) -> EngineSettings {
    let mut settings = EngineSettings::default();
    change(&mut settings);
    settings
}

fn alone(model: &Qwen3, request: &Request, settings: &EngineSettings) -> Generated {
    let one = std::slice::from_ref(request);
    complete(model, one, settings, &mut Silent)
        .unwrap()
        .remove(0)
}

fn assert_same(together: &[Generated], model: &Qwen3, requests: &[Request], kind: Kind) {
    let single = engine(|s| s.cache = kind);
    for (i, (request, got)) in requests.iter().zip(together).enumerate() {
        let expected = alone(model, request, &single);
        assert_eq!(
            got.token_ids, expected.token_ids,
            "request {i}: {request:?}"
        );
        assert_eq!(got.finish, expected.finish, "request {i}");
        for (a, b) in got.logprobs.iter().zip(&expected.logprobs) {
            assert!((a - b).abs() < 1e-4, "request {i}: {a} {b}");
        }
    }
}

#[test]
fn a_request_is_answered_as_it_would_be_alone() {
    let model = tiny(false, 21);
    let requests = requests(24);
    for most in [1, 3, 8, 256] {
        let settings = engine(|s| {
            s.max_batch_size = most;
            s.prefill_step_size = if most == 3 { 2 } else { 2048 };
        });
        let together = complete(&model, &requests, &settings, &mut Silent).unwrap();
        assert_same(&together, &model, &requests, Kind::Full);
    }
}

#[test]
fn caches_of_every_kind_answer_alike_in_a_batch() {
    let config = Config::from_json(serde_json::json!({
        "vocab_size": 13, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 24,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32,
        "tie_word_embeddings": true, "initializer_range": 0.3,
    }));
    let model = Qwen3::random(config.unwrap(), 5, Dtype::Float32).unwrap();
    let requests = requests(9);
    let ring = Kind::Rotating {
        max_size: 6,
        keep: 2,
    };
    let packed = Kind::Quantized {
        bits: 8,
        group_size: 32,
    };
    for kind in [ring, packed] {
        let settings = engine(|s| {
            s.cache = kind;
            s.max_batch_size = 4;
        });
        let together = complete(&model, &requests, &settings, &mut Silent).unwrap();
        assert_same(&together, &model, &requests, kind);
    }
    // A ring that nothing falls out of is a full cache.
    let wide = Kind::Rotating {
        max_size: 64,
        keep: 0,
    };
    let settings = engine(|s| s.cache = wide);
    let together = complete(&model, &requests, &settings, &mut Silent).unwrap();
    assert_same(&together, &model, &requests, Kind::Full);
}

/// Ends a row when it has so many tokens, and counts.
struct Enough {
    tokens: Vec<Vec<i32>>,
    most: usize,
}

impl Observer for Enough {
    fn token(&mut self, row: usize, id: i32) -> mlx_repl::Result<Next> {
        self.tokens[row].push(id);
        Ok(match self.tokens[row].len() >= self.most {
            true => Next::Stop,
            false => Next::Go,
        })
    }
}

#[test]
fn whoever_listens_may_end_a_row() {
    let model = tiny(true, 22);
    let prompts = vec![vec![3, 4], vec![5]];
    let settings = GenerateSettings {
        max_tokens: 9,
        ..GenerateSettings::default()
    };
    let mut enough = Enough {
        tokens: vec![Vec::new(); 2],
        most: 4,
    };
    let rows = generate(&model, &prompts, &settings, &mut enough).unwrap();
    for (row, heard) in rows.iter().zip(&enough.tokens) {
        assert_eq!(row.finish, Finish::Stop);
        assert_eq!(&row.token_ids, heard);
        assert_eq!(heard.len(), 4);
    }
    let whole = generate(&model, &prompts, &settings, &mut Silent).unwrap();
    assert_eq!(whole[0].token_ids[..4], rows[0].token_ids[..]);
}

#[test]
fn a_cache_is_continued_turn_by_turn() {
    let model = tiny(false, 23);
    let ask = |prompt: &[i32], max_tokens| Request {
        prompt: prompt.to_vec(),
        max_tokens,
        sampling: RowSettings {
            sampler: SamplerSettings {
                temperature: 0.0,
                ..SamplerSettings::default()
            },
            penalties: PenaltySettings::default(),
        },
        stop_token_ids: Vec::new(),
        seed: 0,
    };
    let mut cache = Kind::Full.cache(model.layers.len(), 0).unwrap();
    let mut text: Vec<i32> = Vec::new();
    for (prompt, count) in [(vec![3, 7, 1], 5), (vec![9], 1), (vec![2, 2], 4)] {
        let request = ask(&prompt, count);
        let got = continue_cache(&model, &mut cache, &request, 2, &mut Silent).unwrap();
        text.extend(&prompt);
        let whole = alone(&model, &ask(&text, count), &EngineSettings::default());
        assert_eq!(got.token_ids, whole.token_ids);
        text.extend(&got.token_ids);
        assert_eq!(cache[0].size() as usize, text.len());
    }
    let several = vec![3; 3];
    let mut rows = Kind::Full.cache(model.layers.len(), 0).unwrap();
    let ids = mlx_repl::tensor::ids(&[1, 2], &[2, 1]);
    model.forward(&ids, Some(&mut rows)).unwrap();
    let error = continue_cache(&model, &mut rows, &ask(&several, 2), 8, &mut Silent);
    assert!(error.unwrap_err().to_string().contains("one row"));
}

#[test]
fn what_cannot_be_done_is_said_before_any_work() {
    let config = Config::from_json(serde_json::json!({
        "vocab_size": 13, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 10,
    }));
    let model = Qwen3::random(config.unwrap(), 1, Dtype::Float32).unwrap();
    let error = |change: &dyn Fn(&mut Request), settings: &EngineSettings| {
        let mut request = requests(1).remove(0);
        request.max_tokens = 2;
        change(&mut request);
        let outcome = complete(&model, &[request], settings, &mut Silent);
        outcome.unwrap_err().to_string()
    };
    let usual = EngineSettings::default();
    assert!(error(&|r| r.prompt.clear(), &usual).contains("empty prompt"));
    assert!(error(&|r| r.prompt = vec![13], &usual).contains("token id 13"));
    let long = error(&|r| (r.prompt, r.max_tokens) = (vec![1; 6], 5), &usual);
    assert!(long.contains("at most 4"), "{long}");
    let long = error(&|r| r.prompt = vec![1; 10], &usual);
    assert!(long.contains("shorter prompt"), "{long}");
    assert!(error(&|r| r.max_tokens = 0, &usual).contains("max_tokens"));
    assert!(error(&|r| r.sampling.sampler.top_p = 2.0, &usual).contains("top_p"));
    let negative = error(&|r| r.sampling.sampler.temperature = -1.0, &usual);
    assert!(negative.contains("temperature"));
    let outside = error(
        &|r| r.sampling.penalties.logit_bias = vec![(13, 1.0)],
        &usual,
    );
    assert!(outside.contains("13"), "{outside}");
    let none = engine(|s| s.max_batch_size = 0);
    assert!(error(&|_| (), &none).contains("max_batch_size"));
    let ring = engine(|s| {
        s.cache = Kind::Rotating {
            max_size: 4,
            keep: 4,
        }
    });
    assert!(error(&|_| (), &ring).contains("keep"));
}
