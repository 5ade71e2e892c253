//! Gradients in little memory are those of the plain way.

use crate::support::{distance, tiny};
use mlx_repl::mlx::{Array, Dtype};
use mlx_repl::models::{Config, LoraSettings, Qwen3};
use mlx_repl::nn::Params;
use mlx_repl::tensor::select::entropy;
use mlx_repl::tensor::selective_log_softmax;
use mlx_repl::train::{
    BackwardSettings, Batch, Document, HeadSettings, TargetGrads, completion_logits,
    completion_logprobs, gradients, loss_and_grads, router_loss,
};
use serde_json::json;

const TEMPERATURE: f32 = 0.7;

/// Prompts of several lengths with their completions; one is a single token.
fn groups(equal: bool) -> Vec<(Vec<i32>, Vec<Vec<i32>>)> {
    let first = (
        vec![3, 7, 1, 4],
        vec![vec![5, 2, 9], vec![8], vec![1, 1, 6, 12, 3]],
    );
    let second = match equal {
        true => (vec![2, 9, 9, 0], vec![vec![4, 4], vec![11, 3, 2], vec![7]]),
        false => (vec![6], vec![vec![10, 0, 2, 2], vec![3, 5]]),
    };
    vec![first, second]
}

fn pairs(groups: &[(Vec<i32>, Vec<Vec<i32>>)]) -> Vec<(&[i32], &[i32])> {
    let each = groups.iter();
    each.flat_map(|(prompt, list)| list.iter().map(|c| (prompt.as_slice(), c.as_slice())))
        .collect()
}

fn shared(groups: &[(Vec<i32>, Vec<Vec<i32>>)]) -> Batch {
    let views: Vec<(&[i32], Vec<&[i32]>)> = groups
        .iter()
        .map(|(prompt, list)| (prompt.as_slice(), list.iter().map(Vec::as_slice).collect()))
        .collect();
    Batch::shared(&views)
}

fn moe() -> Qwen3 {
    let config = Config::from_json(json!({
        "model_type": "qwen3_moe", "vocab_size": 13, "hidden_size": 16, "num_hidden_layers": 2,
        "intermediate_size": 24, "moe_intermediate_size": 8, "num_experts": 4,
        "num_experts_per_tok": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 6, "tie_word_embeddings": false, "initializer_range": 0.3,
    }));
    Qwen3::random(config.unwrap(), 3, Dtype::Float32).unwrap()
}

fn weights(n: usize, seed: u64) -> Array {
    let key = mlx_repl::mlx::random::key(seed).unwrap();
    mlx_rs::random::normal::<f32>(&[n as i32], None, 1.0, &key).unwrap()
}

/// The gradients of a weighted sum of log-probabilities and entropies, in the plain way: one trace
/// of everything.
fn plain(model: &Qwen3, batch: &Batch, by: &Array, by_entropy: &Array, router: f32) -> Vec<Array> {
    let (_, grads) = loss_and_grads(model, |network| {
        let mut routed = Vec::new();
        let logits = completion_logits(network, batch, TEMPERATURE, Some(&mut routed))?;
        let logprobs = selective_log_softmax(&logits, batch.targets())?;
        let mut loss = logprobs.multiply(by)?.sum(false)?;
        loss = loss.add(entropy(&logits)?.multiply(by_entropy)?.sum(false)?)?;
        if router > 0.0 {
            let even = router_loss(network, batch, &routed)?;
            loss = loss.add(even.multiply(Array::from_f32(router))?)?;
        }
        Ok(vec![loss])
    })
    .unwrap();
    grads
}

#[track_caller]
fn assert_same(what: &str, model: &Qwen3, plain: &[Array], lean: &[Array]) {
    assert_eq!(plain.len(), lean.len());
    for ((name, _), (a, b)) in model.trained().iter().zip(plain.iter().zip(lean)) {
        let size = distance(a, &a.multiply(Array::from_f32(0.0)).unwrap());
        let off = distance(a, b);
        assert!(
            off <= 1e-5 * (1.0 + size),
            "{what}, {name}: off by {off} of {size}"
        );
    }
}

fn check(kind: &str, model: &Qwen3, router: f32) {
    for equal in [true, false] {
        let groups = groups(equal);
        let batch = Batch::new(&pairs(&groups));
        let n = batch.targets().size();
        let (by, by_entropy) = (weights(n, 1), weights(n, 2));
        let zeros = Array::from_slice(&vec![0f32; n], &[n as i32]);
        for bonus in [false, true] {
            let entropies = if bonus { &by_entropy } else { &zeros };
            let expected = plain(model, &batch, &by, entropies, router);
            for is_shared in [false, true] {
                if is_shared && router > 0.0 {
                    continue;
                }
                for gradient_checkpointing in [false, true] {
                    for chunk_size in [0, 1, 3] {
                        let lean = if is_shared {
                            shared(&groups)
                        } else {
                            batch.clone()
                        };
                        assert_eq!(lean.lengths, batch.lengths);
                        let settings = BackwardSettings {
                            head: HeadSettings {
                                temperature: TEMPERATURE,
                                chunk_size,
                                entropies: bonus,
                            },
                            gradient_checkpointing,
                            router_aux_loss_coef: router,
                        };
                        let what = format!("{kind}, {settings:?}, shared {is_shared}");
                        let got = gradients(model, &lean, &settings, |scores| {
                            let direct = completion_logprobs(model, &batch, TEMPERATURE)?;
                            assert!(distance(&direct, &scores.logprobs) < 1e-5, "{what}");
                            Ok(TargetGrads {
                                logprobs: by.clone(),
                                entropies: bonus.then(|| by_entropy.clone()),
                            })
                        })
                        .unwrap();
                        assert_eq!(got.aux_loss.is_some(), router > 0.0);
                        assert_same(&what, model, &expected, &got.arrays);
                    }
                }
            }
        }
    }
}

#[test]
fn lean_gradients_are_the_plain_ones() {
    check("tied", &tiny(true, 5), 0.0);
    check("untied", &tiny(false, 6), 0.0);
}

#[test]
fn lean_gradients_of_adapters_and_experts_are_the_plain_ones() {
    let mut adapted = tiny(true, 7);
    let lora = LoraSettings {
        rank: 2,
        layers: 1,
        targets: vec!["q_proj".into(), "down_proj".into()],
        ..LoraSettings::default()
    };
    adapted.prepare(Some(&lora)).unwrap();
    // Fresh adapters have a B of zeros, and A no gradient.
    let moved: Vec<Array> = (adapted.trained_arrays().iter())
        .map(|a| a.add(Array::from_f32(0.1)).unwrap())
        .collect();
    adapted.set_trained(&moved);
    check("adapters", &adapted, 0.0);
    check("experts", &moe(), 0.0);
    check("experts with balance", &moe(), 0.3);
}

/// Long batches are computed in several queues at once.
#[test]
fn queues_side_by_side_compute_the_plain_gradients() {
    let model = tiny(true, 9);
    let id = |i: usize, salt: usize| ((i * 7 + salt * 5 + i * i) % 13) as i32;
    let text = |length: usize, salt: usize| (0..length).map(|i| id(i, salt)).collect::<Vec<i32>>();
    let groups: Vec<(Vec<i32>, Vec<Vec<i32>>)> = [(120, [90, 40, 70]), (60, [110, 100, 5])]
        .into_iter()
        .enumerate()
        .map(|(i, (prompt, list))| {
            let completions = list.iter().enumerate();
            let completions = completions.map(|(j, n)| text(*n, 10 * i + j + 1));
            (text(prompt, i), completions.collect())
        })
        .collect();
    let batch = Batch::new(&pairs(&groups));
    let by = weights(batch.targets().size(), 1);
    let zeros = by.multiply(Array::from_f32(0.0)).unwrap();
    let expected = plain(&model, &batch, &by, &zeros, 0.0);
    for gradient_checkpointing in [false, true] {
        let settings = BackwardSettings {
            head: HeadSettings {
                temperature: TEMPERATURE,
                ..HeadSettings::default()
            },
            gradient_checkpointing,
            ..BackwardSettings::default()
        };
        let got = gradients(&model, &shared(&groups), &settings, |_| {
            Ok(TargetGrads {
                logprobs: by.clone(),
                entropies: None,
            })
        });
        assert_same("queues", &model, &expected, &got.unwrap().arrays);
    }
}

/// Documents that stand in one row learn what they learn alone.
#[test]
fn packed_documents_do_not_see_each_other() {
    let model = tiny(true, 8);
    let document = |ids: &[i32], learnt: &[bool]| Document {
        ids: ids.to_vec(),
        learnt: learnt.to_vec(),
    };
    let list = [
        document(&[3, 7, 1, 4], &[false, true, true, true]),
        document(
            &[5, 2, 9, 9, 1, 0],
            &[false, false, false, true, true, true],
        ),
        document(&[8, 8, 2], &[false, true, false]),
        document(&[1, 12], &[false, true]),
    ];
    let [a, b, c, d] = &list;
    let alone = Batch::documents(&[vec![a], vec![b], vec![c], vec![d]]).unwrap();
    let packed = Batch::documents(&[vec![a, b, d], vec![c]]).unwrap();
    assert_eq!(alone.lengths, [3, 3, 1, 1]);
    assert_eq!(packed.lengths, [7, 1]);
    let logprobs = |batch: &Batch| completion_logprobs(&model, batch, 1.0).unwrap();
    let order = Array::from_slice(&[0i32, 1, 2, 3, 4, 5, 7, 6], &[8]);
    let expected = logprobs(&alone).take_axis(&order, 0).unwrap();
    assert!(distance(&expected, &logprobs(&packed)) < 1e-5);
    let by = weights(8, 3);
    let lean = |batch: &Batch, by: &Array, gradient_checkpointing: bool| {
        let settings = BackwardSettings {
            gradient_checkpointing,
            ..BackwardSettings::default()
        };
        let grads = gradients(&model, batch, &settings, |_| {
            Ok(TargetGrads {
                logprobs: by.clone(),
                entropies: None,
            })
        });
        grads.unwrap().arrays
    };
    let expected = lean(&alone, &by, false);
    let by = by.take_axis(&order, 0).unwrap();
    for checkpointing in [false, true] {
        assert_same(
            "packed",
            &model,
            &expected,
            &lean(&packed, &by, checkpointing),
        );
    }
}
