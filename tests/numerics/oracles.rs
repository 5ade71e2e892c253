//! Values of transformers, mlx-lm, TRL and torch; `tests/vectors/README.md` says how they were made.

use crate::support::{array, assert_close, distance, fixture};
use mlx_repl::mlx::{Array, Dtype, autograd};
use mlx_repl::optim::{Optimizer, Rule};
use mlx_repl::rl::advantage::Aggregation;
use mlx_repl::rl::{
    AdvantageSettings, LossInputs, LossSettings, LossType, Ratio, Scale, advantages, loss,
};
use mlx_repl::tensor::item;
use serde_json::Value;

#[test]
fn losses_and_their_gradients_are_those_of_trl() {
    let all = fixture("grpo.json");
    let mut checked = 0;
    for case in all["cases"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().map(|x| x as f32);
        // The ratio of accumulation to generation steps is no part of the interface.
        if case["gradient_accumulation_steps"] != case["steps_per_generation"]
            && case["loss_type"] == "dapo"
        {
            continue;
        }
        let name = case["name"].as_str().unwrap();
        let optional = |key: &str| (!case[key].is_null()).then(|| array(&case[key]));
        let (old, reference) = (optional("old_logprobs"), optional("ref_logprobs"));
        let (advantages, mask) = (array(&case["advantages"]), array(&case["mask"]));
        let settings = LossSettings {
            loss_type: LossType::named(case["loss_type"].as_str().unwrap()).unwrap(),
            importance_sampling_level: Ratio::named(
                case["importance_sampling_level"].as_str().unwrap(),
            )
            .unwrap(),
            epsilon: number("epsilon").unwrap(),
            epsilon_high: number("epsilon_high"),
            delta: number("delta"),
            beta: number("beta").unwrap(),
            ..LossSettings::default()
        };
        let run = |logprobs: &Array| {
            let inputs = LossInputs {
                logprobs,
                old_logprobs: old.as_ref(),
                ref_logprobs: reference.as_ref(),
                advantages: &advantages,
                mask: &mask,
                num_items_in_batch: number("num_items_in_batch"),
                max_completion_length: number("max_completion_length").map(|x| x as i32),
                gradient_accumulation_steps: number("gradient_accumulation_steps").unwrap(),
                ..LossInputs::new(logprobs, &advantages, &mask)
            };
            loss::loss(&inputs, &settings)
        };
        let logprobs = array(&case["logprobs"]);
        let (values, grads) =
            autograd::value_and_grad(|a| Ok(vec![run(&a[0])?.0]), std::slice::from_ref(&logprobs))
                .unwrap();
        let expected = number("loss").unwrap();
        let got = item(&values[0]).unwrap();
        assert!(
            (got - expected).abs() < 1e-5,
            "{name}: {got}, not {expected}"
        );
        let off = distance(&grads[0], &array(&case["grad"]));
        assert!(off < 1e-5, "{name}: gradients differ by {off}");
        let (_, metrics) = run(&logprobs).unwrap();
        if let Some(kl) = number("kl") {
            let got = metrics.iter().find(|(name, _)| name == "kl").unwrap();
            assert!((item(&got.1).unwrap() - kl).abs() < 1e-5, "{name}: kl");
        }
        checked += 1;
    }
    assert!(checked >= 60, "{checked} cases");
}

#[test]
fn advantages_are_those_of_trl() {
    let all = fixture("advantages.json");
    for case in all["cases"].as_array().unwrap() {
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
        };
        let group = case["num_generations"].as_u64().unwrap() as usize;
        let got = advantages(&rewards, group, &settings).unwrap();
        let expected = case["advantages"].as_array().unwrap();
        for (i, (a, b)) in got.iter().zip(expected).enumerate() {
            let off = (a - b.as_f64().unwrap()).abs();
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
