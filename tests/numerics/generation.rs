//! Properties of generation: batched = single, recorded = recomputed, seeds.

use crate::support::tiny;
use mlx_repl::generate::{Finish, GenerateSettings, Generated, Silent, generate};
use mlx_repl::models::Qwen3;
use mlx_repl::sampling::SamplerSettings;
use mlx_repl::tensor::to_f32;
use mlx_repl::train::{Batch, completion_logprobs};

fn settings(change: impl Fn(&mut GenerateSettings)) -> GenerateSettings {
    let mut settings = GenerateSettings {
        max_tokens: 12,
        seed: 5,
        stop_token_ids: vec![1, 2],
        ..GenerateSettings::default()
    };
    change(&mut settings);
    settings
}

fn run(model: &Qwen3, prompts: &[Vec<i32>], settings: &GenerateSettings) -> Vec<Generated> {
    generate(model, prompts, settings, &mut Silent).unwrap()
}

fn ragged() -> Vec<Vec<i32>> {
    vec![
        vec![3, 7, 1, 12],
        vec![5],
        vec![9, 2],
        vec![3, 7, 1, 12],
        vec![8, 4],
    ]
}

#[test]
fn a_ragged_batch_is_its_rows_alone() {
    let model = tiny(false, 11);
    let greedy = settings(|s| s.sampler.temperature = 0.0);
    let together = run(&model, &ragged(), &greedy);
    let mut lengths = Vec::new();
    for (prompt, row) in ragged().into_iter().zip(&together) {
        let alone = &run(&model, &[prompt], &greedy)[0];
        assert_eq!(alone.token_ids, row.token_ids);
        assert_eq!(alone.finish, row.finish);
        lengths.push(row.token_ids.len());
    }
    lengths.dedup();
    assert!(
        lengths.len() > 1,
        "rows should end at different times: {lengths:?}"
    );
}

#[test]
fn the_first_row_of_a_seeded_batch_is_the_request_alone() {
    let model = tiny(true, 12);
    let sampled = settings(|s| s.sampler.top_k = 8);
    let together = run(&model, &ragged(), &sampled);
    let alone = run(&model, &ragged()[..1], &sampled);
    assert_eq!(together[0].token_ids, alone[0].token_ids);
    // Equal prompts draw different completions, and the same seed draws the same again.
    assert_ne!(together[0].token_ids, together[3].token_ids);
    assert_eq!(run(&model, &ragged(), &sampled), together);
    let other = settings(|s| {
        s.sampler.top_k = 8;
        s.seed = 6;
    });
    assert_ne!(run(&model, &ragged(), &other), together);
}

/// What the sampler records is what the trainer computes: the on-policy ratio is 1.
#[test]
fn recorded_log_probabilities_are_the_trainer_s() {
    let model = tiny(false, 13);
    for temperature in [1.0, 0.6] {
        let sampled = settings(|s| {
            s.num_samples = 4;
            s.sampler = SamplerSettings {
                temperature,
                top_p: 0.9,
                ..SamplerSettings::default()
            };
        });
        let rows = run(&model, &ragged(), &sampled);
        let prompts = ragged();
        let pairs: Vec<(&[i32], &[i32])> = rows
            .iter()
            .enumerate()
            .map(|(i, row)| (prompts[i / 4].as_slice(), row.token_ids.as_slice()))
            .collect();
        let batch = Batch::new(&pairs);
        let trained = to_f32(&completion_logprobs(&model, &batch, temperature).unwrap()).unwrap();
        let recorded: Vec<f32> = rows.iter().flat_map(|row| row.logprobs.clone()).collect();
        assert_eq!(trained.len(), recorded.len());
        for (a, b) in trained.iter().zip(&recorded) {
            assert!(
                (a - b).exp() - 1.0 < 1e-4 && (b - a).exp() - 1.0 < 1e-4,
                "{a} {b}"
            );
        }
    }
}

#[test]
fn rows_end_at_stop_tokens_or_at_the_limit() {
    let model = tiny(true, 14);
    let rows = run(&model, &ragged(), &settings(|s| s.num_samples = 8));
    assert_eq!(rows.len(), 40);
    for row in &rows {
        let (last, before) = row.token_ids.split_last().unwrap();
        assert!(before.iter().all(|id| ![1, 2].contains(id)));
        match row.finish {
            Finish::Stop => assert!([1, 2].contains(last)),
            Finish::Length => assert_eq!(row.token_ids.len(), 12),
            Finish::Interrupted => panic!("nobody asked to stop"),
        }
        assert_eq!(row.logprobs.len(), row.token_ids.len());
    }
    let endless = run(&model, &ragged(), &settings(|s| s.stop_token_ids.clear()));
    assert!(endless.iter().all(|row| row.token_ids.len() == 12));
}

#[test]
fn a_long_prompt_in_chunks_is_the_prompt_at_once() {
    let model = tiny(false, 15);
    let prompt: Vec<i32> = (0..40).map(|i| i * 7 % 13).collect();
    let whole = run(&model, std::slice::from_ref(&prompt), &settings(|_| ()));
    for size in [1, 7, 39, 40] {
        let chunked = settings(|s| s.engine.prefill_step_size = size);
        let got = run(&model, std::slice::from_ref(&prompt), &chunked);
        assert_eq!(got[0].token_ids, whole[0].token_ids, "chunks of {size}");
    }
}

#[test]
fn bad_requests_are_refused() {
    let model = tiny(true, 16);
    let error = |prompts: &[Vec<i32>], settings: &GenerateSettings| {
        generate(&model, prompts, settings, &mut Silent)
            .unwrap_err()
            .to_string()
    };
    assert!(error(&[vec![]], &settings(|_| ())).contains("empty prompt"));
    assert!(error(&[vec![13]], &settings(|_| ())).contains("token id 13"));
    assert!(error(&[vec![-1]], &settings(|_| ())).contains("token id -1"));
    let none = settings(|s| s.max_tokens = 0);
    assert!(error(&[vec![1]], &none).contains("max_tokens"));
    assert!(run(&model, &[], &settings(|_| ())).is_empty());
}
