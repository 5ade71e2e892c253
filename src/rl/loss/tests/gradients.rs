//! Gradients against differences, and at extremes.

use super::*;

const STEP: f32 = 2e-3;

/// The gradient of every token against central differences, at places where the loss is smooth.
#[track_caller]
fn check(inputs: &LossInputs, settings: &LossSettings) {
    let analytic = gradient(inputs, settings);
    let start = to_f32(inputs.logprobs).unwrap();
    for i in 0..start.len() {
        let at = |step: f32| {
            let mut moved = start.clone();
            moved[i] += step;
            let logprobs = Array::from_slice(&moved, inputs.logprobs.shape());
            let inputs = LossInputs {
                logprobs: &logprobs,
                ..*inputs
            };
            value(&inputs, settings)
        };
        let numeric = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        let off = (numeric - analytic[i]).abs();
        let kind = settings.loss_type;
        assert!(
            off < 3e-4,
            "{kind:?}, {i}: {}, by differences {numeric}",
            analytic[i]
        );
    }
}

/// `cispo` and `vespo` stop gradients: their loss is no antiderivative of their gradient.
const SMOOTH: [LossType; 6] = [
    LossType::Grpo,
    LossType::Dapo,
    LossType::DrGrpo,
    LossType::Bnpo,
    LossType::Sapo,
    LossType::Luspo,
];

#[test]
fn gradients_are_differences_of_the_loss() {
    let batch = Batch::new();
    for kind in SMOOTH {
        check(&batch.inputs(), &of(kind));
    }
}

#[test]
fn gradients_with_a_reference_are_differences() {
    let batch = Batch::new();
    for kind in SMOOTH {
        let mut settings = LossSettings {
            beta: 0.3,
            ..of(kind)
        };
        check(&batch.inputs(), &settings);
        settings.use_bias_correction_kl = true;
        check(&batch.inputs(), &settings);
    }
}

#[test]
fn gradients_of_sequence_ratios_are_differences() {
    let batch = Batch::new();
    for kind in SMOOTH {
        let settings = LossSettings {
            importance_sampling_level: Ratio::Sequence,
            delta: Some(1.7),
            epsilon: 0.5,
            beta: 0.1,
            ..of(kind)
        };
        check(&batch.inputs(), &settings);
    }
}

#[test]
fn gradients_under_an_entropy_mask_are_differences() {
    let batch = Batch::new();
    for kind in SMOOTH {
        let settings = LossSettings {
            top_entropy_quantile: 0.4,
            entropy_coef: 0.1,
            ..of(kind)
        };
        check(&batch.inputs(), &settings);
    }
}

/// The weight is a constant: the gradient is that of `weight * log p`.
#[test]
fn stopped_weights_leave_the_gradient_of_the_log_probability() {
    let batch = Batch::new();
    for kind in [LossType::Cispo, LossType::Vespo] {
        let grads = gradient(&batch.inputs(), &of(kind));
        let logprobs = to_f32(&batch.logprobs).unwrap();
        let mask = to_f32(&batch.mask).unwrap();
        let terms = grads.iter().zip(&logprobs).zip(&mask);
        let sum: f32 = terms
            .map(|((g, l), m)| if *m > 0.0 { g * l } else { 0.0 })
            .sum();
        close(sum, value(&batch.inputs(), &of(kind)));
    }
}

#[test]
fn on_policy_every_type_has_the_gradient_of_reinforce() {
    let batch = Batch::new();
    let a = [1.2f32, -0.8, 0.5];
    let lengths = [5usize, 3, 4];
    for kind in LossType::ALL {
        for level in [Ratio::Token, Ratio::Sequence] {
            let settings = LossSettings {
                importance_sampling_level: level,
                ..of(kind)
            };
            let expected: Vec<f32> = (0..15)
                .map(|i| {
                    let (row, at) = (i / 5, i % 5);
                    let n = lengths[row] as f32;
                    let divisor = match kind {
                        LossType::Grpo | LossType::Sapo => 3.0 * n,
                        LossType::Luspo => 3.0,
                        LossType::DrGrpo => 24.0,
                        _ => 12.0,
                    };
                    if at < lengths[row] {
                        -a[row] / divisor
                    } else {
                        0.0
                    }
                })
                .collect();
            all_close(&gradient(&batch.on_policy(), &settings), &expected);
        }
    }
}

#[test]
fn without_a_clip_at_all_the_first_step_still_has_a_gradient() {
    let batch = Batch::new();
    let settings = LossSettings {
        epsilon: 0.0,
        ..LossSettings::default()
    };
    let plain = gradient(&batch.on_policy(), &LossSettings::default());
    assert_eq!(gradient(&batch.on_policy(), &settings), plain);
    let settings = LossSettings {
        delta: Some(1.0),
        ..settings
    };
    assert_eq!(gradient(&batch.on_policy(), &settings), plain);
}

#[test]
fn what_is_clipped_has_no_gradient() {
    let batch = Batch::new();
    let grads = gradient(&batch.inputs(), &LossSettings::default());
    // Tokens 0, 3 and 4 of row 0 are above 1.2 with A > 0, tokens 1 and 2 of row 1 below 0.8 with A < 0.
    for i in [0, 3, 4, 6, 7, 12] {
        assert_eq!(grads[i], 0.0, "{i}");
    }
    for i in [1, 2, 5, 10, 11, 13] {
        assert!(grads[i] != 0.0, "{i}");
    }
}

#[test]
fn the_bonus_reaches_the_entropies_it_acts_on() {
    let batch = Batch::new();
    let settings = LossSettings {
        entropy_coef: 0.3,
        top_entropy_quantile: 0.25,
        ..LossSettings::default()
    };
    let f = |a: &[Array]| {
        let inputs = LossInputs {
            entropies: Some(&a[0]),
            gradient_accumulation_steps: 2.0,
            ..batch.inputs()
        };
        Ok(vec![loss(&inputs, &settings)?.0])
    };
    let leaves = [batch.entropies.clone()];
    let grads = autograd::value_and_grad(f, &leaves).unwrap().1;
    let mut expected = [0.0; 15];
    for i in [1, 3, 11] {
        expected[i] = -0.3 / 3.0 / 2.0;
    }
    all_close(&to_f32(&grads[0]).unwrap(), &expected);
}

#[test]
fn log_ratios_beyond_any_number_stay_finite() {
    let far = [80.0f32, 84.0, 100.0, 1e4];
    for size in far {
        let logprobs = matrix([[-1.0, -size, -1.0], [-1.0, -size, -2.0]]);
        let old = matrix([[-size, -1.0, -1.0], [-size, -1.0, -1.5]]);
        let (advantages, mask) = (list(&[2.0, -3.0]), matrix([[1.0; 3]; 2]));
        let entropies = matrix([[1.0; 3]; 2]);
        for kind in LossType::ALL {
            for level in [Ratio::Token, Ratio::Sequence] {
                let inputs = LossInputs {
                    old_logprobs: Some(&old),
                    ref_logprobs: Some(&old),
                    entropies: Some(&entropies),
                    ..LossInputs::new(&logprobs, &advantages, &mask)
                };
                let settings = LossSettings {
                    importance_sampling_level: level,
                    beta: 0.1,
                    use_bias_correction_kl: true,
                    entropy_coef: 0.1,
                    off_policy_mask_threshold: Some(1e6),
                    ..of(kind)
                };
                assert!(value(&inputs, &settings).is_finite(), "{kind:?} {size}");
                let grads = gradient(&inputs, &settings);
                assert!(
                    grads.iter().all(|g| g.is_finite()),
                    "{kind:?} {size}: {grads:?}"
                );
            }
        }
    }
}

#[test]
fn extremes_are_clipped_to_known_values() {
    let logprobs = matrix([[-80.0, -1.0]]);
    let old = matrix([[0.0, -81.0]]);
    let (advantages, mask) = (list(&[1.0]), matrix([[1.0, 1.0]]));
    let inputs = LossInputs {
        old_logprobs: Some(&old),
        ..LossInputs::new(&logprobs, &advantages, &mask)
    };
    // exp(-80) and the clip at 1.2, averaged over two tokens.
    close(value(&inputs, &LossSettings::default()), -0.6);
    close(
        metric(&inputs, &LossSettings::default(), "clip_ratio/high_mean"),
        0.5,
    );
    // A gate that is closed below and open above: 4 sigmoid(-1), and 4.
    let closed = 4.0 / (1.0 + 1f32.exp());
    close(value(&inputs, &of(LossType::Sapo)), -(closed + 4.0) / 2.0);
}
