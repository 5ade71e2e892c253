//! What a computation needs at its peak.

use crate::ALONE;
use mlx_repl::generate::score;
use mlx_repl::mlx::{self, Array, Dtype, memory};
use mlx_repl::models::{Config, Qwen3};
use mlx_repl::nn::Params;
use mlx_repl::tensor::to_f32;
use mlx_repl::train::{
    BackwardSettings, Batch, HeadSettings, TargetGrads, TargetScores, completion_logprobs,
    gradients,
};
use serde_json::json;

/// Logits of a long text at the real vocabulary would take 1.8 GB.
#[test]
fn a_long_text_is_scored_in_chunks() {
    let _alone = ALONE.lock();
    let config = Config::from_json(json!({
        "vocab_size": 151_936, "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "tie_word_embeddings": true, "initializer_range": 0.5,
    }));
    let model = Qwen3::random(config.unwrap(), 1, Dtype::Float32).unwrap();
    let ids: Vec<i32> = (0..3000).map(|i| (i * 7919) % 151_936).collect();
    memory::reset_peak().unwrap();
    let before = memory::memory().unwrap().active;
    let long = to_f32(&score(&model, &ids, 1, 0.8).unwrap()).unwrap();
    let used = memory::memory().unwrap().peak - before;
    assert_eq!(long.len(), 2999);
    assert!(used < 1_000_000_000, "{used} bytes");
    // The same as all at once, wherever the chunks end.
    for (known, length) in [
        (1, 700),
        (400, 700),
        (511, 513),
        (512, 514),
        (513, 515),
        (1, 2),
    ] {
        let batch = Batch::new(&[(&ids[..known], &ids[known..length])]);
        let whole = to_f32(&completion_logprobs(&model, &batch, 0.8).unwrap()).unwrap();
        let got = to_f32(&score(&model, &ids[..length], known, 0.8).unwrap()).unwrap();
        assert_eq!(got.len(), whole.len());
        for ((got, whole), long) in got.iter().zip(whole).zip(&long[known - 1..]) {
            assert!((got - whole).abs() < 1e-4 && (got - long).abs() < 1e-4);
        }
    }
}

/// Chunks of the head are dropped as soon as they were used, also where the blocks are traced.
#[test]
fn the_head_holds_one_chunk_at_a_time() {
    let _alone = ALONE.lock();
    let config = Config::from_json(json!({
        "vocab_size": 4000, "hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
    }));
    let model = Qwen3::random(config.unwrap(), 4, Dtype::Float32).unwrap();
    mlx::eval(&model.arrays()).unwrap();
    let ids: Vec<i32> = (0..33).collect();
    let rows: Vec<(&[i32], &[i32])> = (0..32).map(|_| ids.split_at(1)).collect();
    let batch = Batch::new(&rows);
    let key = mlx::random::key(5).unwrap();
    let count = [batch.targets().size() as i32];
    let by = mlx_rs::random::normal::<f32>(&count, None, 1.0, &key).unwrap();
    let peak = |chunk_size: usize, gradient_checkpointing: bool| {
        let settings = BackwardSettings {
            head: HeadSettings {
                chunk_size,
                entropies: true,
                ..HeadSettings::default()
            },
            gradient_checkpointing,
            ..BackwardSettings::default()
        };
        let before = memory::memory().unwrap().active;
        memory::reset_peak().unwrap();
        let traced = |scores: &TargetScores| {
            // A gradient that comes out of a trace of its own, as a trainer's does.
            let f = |a: &[Array]| Ok(vec![a[0].multiply(&by)?.sum(false)?]);
            let args = [scores.logprobs.clone()];
            let (_, grads) = mlx::autograd::value_and_grad(f, &args)?;
            Ok(TargetGrads {
                logprobs: grads[0].clone(),
                entropies: None,
            })
        };
        gradients(&model, &batch, &settings, traced).unwrap();
        memory::memory().unwrap().peak - before
    };
    let logits = batch.targets().size() * 4000 * 4;
    for checkpointing in [false, true] {
        let (whole, chunked) = (peak(1024, checkpointing), peak(32, checkpointing));
        assert!(whole > logits, "{whole} bytes for {logits} of logits");
        assert!(
            chunked < logits / 2,
            "{chunked} bytes for {logits} of logits"
        );
    }
}
