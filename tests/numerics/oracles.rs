//! Values of transformers, mlx-lm, TRL and torch; `tests/vectors/README.md` says how they were made.

use crate::support::{array, assert_close, fixture};
use mlx_repl::mlx::{Array, Dtype};
use mlx_repl::optim::{Optimizer, Rule};
use mlx_repl::rl::{AdvantageSettings, Aggregation, Scale, advantages};
use mlx_repl::tensor::item;
use serde_json::Value;

#[test]
fn advantages_are_those_of_trl() {
    let all = fixture("advantages.json");
    let cases = all["cases"].as_array().unwrap();
    assert!(cases.len() >= 39);
    for case in cases {
        let rewards: Vec<Vec<Option<f64>>> = case["rewards"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row.as_array().unwrap().iter().map(Value::as_f64).collect())
            .collect();
        let weights = case["reward_weights"].as_array().unwrap();
        let aggregation = case["multi_objective_aggregation"].as_str().unwrap();
        let settings = AdvantageSettings {
            scale_rewards: Scale::named(case["scale_rewards"].as_str().unwrap()).unwrap(),
            reward_weights: weights.iter().filter_map(Value::as_f64).collect(),
            multi_objective_aggregation: Aggregation::named(aggregation).unwrap(),
            ..AdvantageSettings::default()
        };
        let group = case["num_generations"].as_u64().unwrap() as usize;
        let got = advantages(&rewards, group, &settings).unwrap();
        let expected = case["advantages"].as_array().unwrap();
        for (i, (a, b)) in got.iter().zip(expected).enumerate() {
            let b = b.as_f64().unwrap();
            let off = (a - b).abs() / b.abs().max(1.0);
            assert!(off < 1e-6, "{}: advantage {i}: {a}, not {b}", case["name"]);
        }
    }
}

#[test]
fn ten_steps_of_every_optimiser_are_those_of_torch() {
    let all = fixture("adamw.json");
    let names = ["weight", "bias"];
    for case in all["cases"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap_or(0.0);
        let rule = match case["optimizer"].as_str().unwrap() {
            "SGD" => Rule::Sgd {
                momentum: number("momentum"),
                weight_decay: number("weight_decay"),
                dampening: 0.0,
                nesterov: false,
            },
            name => Rule::Adam {
                beta1: case["betas"][0].as_f64().unwrap(),
                beta2: case["betas"][1].as_f64().unwrap(),
                eps: number("eps"),
                weight_decay: number("weight_decay"),
                decoupled: name == "AdamW",
                bias_correction: true,
            },
        };
        let mut optimizer = Optimizer::new(rule, true);
        let mut params: Vec<Array> = names.iter().map(|n| array(&all["start"][n])).collect();
        for (step, grads) in all["grads"].as_array().unwrap().iter().enumerate() {
            let grads: Vec<Array> = names.iter().map(|n| array(&grads[n])).collect();
            params = optimizer.update(&params, &grads, number("lr")).unwrap();
            for (name, param) in names.iter().zip(&params) {
                assert_close(param, &array(&case["params"][step][name]), 2e-6);
            }
        }
    }
}

/// A weight in bf16 takes steps that are smaller than its precision: its master copy adds them up.
#[test]
fn small_steps_of_half_precision_weights_are_not_lost() {
    let rule = Rule::named("sgd", (0.9, 0.999), 0.0).unwrap();
    let mut optimizer = Optimizer::new(rule, false);
    let mut params = vec![Array::from_f32(1.0).as_dtype(Dtype::Bfloat16).unwrap()];
    let grads = [Array::from_f32(1.0)];
    for _ in 0..100 {
        params = optimizer.update(&params, &grads, 1e-3).unwrap();
    }
    assert_eq!(params[0].dtype(), Dtype::Bfloat16);
    let end = item(&params[0]).unwrap();
    assert!((end - 0.9).abs() < 0.004, "{end}");
}
