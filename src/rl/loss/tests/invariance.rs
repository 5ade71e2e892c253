//! What may change without changing the loss.

use super::*;
use mlx_rs::ops;

fn everything(loss_type: LossType) -> LossSettings {
    LossSettings {
        loss_type,
        beta: 0.2,
        top_entropy_quantile: 0.6,
        off_policy_mask_threshold: Some(0.1),
        entropy_coef: 0.05,
        ..LossSettings::default()
    }
}

fn rows(a: &Array, order: &[i32]) -> Array {
    a.take_axis(ids(order), 0).unwrap()
}

fn ids(order: &[i32]) -> Array {
    Array::from_slice(order, &[order.len() as i32])
}

/// The rows of a batch in an order, or some of them.
fn part(batch: &Batch, order: &[i32]) -> Batch {
    Batch {
        logprobs: rows(&batch.logprobs, order),
        old: rows(&batch.old, order),
        reference: rows(&batch.reference, order),
        entropies: rows(&batch.entropies, order),
        advantages: rows(&batch.advantages, order),
        mask: rows(&batch.mask, order),
    }
}

#[test]
fn nothing_at_a_masked_position_matters() {
    let plain = Batch::new();
    let real = plain.mask.gt(number(0.0)).unwrap();
    for junk in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
        let spoil = |a: &Array| ops::select(&real, a, number(junk)).unwrap();
        let of_tokens = ops::broadcast_to(plain.advantages.reshape(&[3, 1]).unwrap(), &[3, 5]);
        let spoilt = Batch {
            logprobs: spoil(&plain.logprobs),
            old: spoil(&plain.old),
            reference: spoil(&plain.reference),
            entropies: spoil(&plain.entropies),
            advantages: spoil(&of_tokens.unwrap()),
            mask: plain.mask.clone(),
        };
        let ones = matrix([[1.0; 5]; 3]);
        let ratio = spoil(&ones);
        for kind in LossType::ALL {
            let clean = LossInputs {
                sampling_logprobs: Some(&plain.old),
                importance_ratio: Some(&ones),
                ..plain.inputs()
            };
            let dirty = LossInputs {
                sampling_logprobs: Some(&spoilt.old),
                importance_ratio: Some(&ratio),
                ..spoilt.inputs()
            };
            let settings = everything(kind);
            close(value(&dirty, &settings), value(&clean, &settings));
            all_close(&gradient(&dirty, &settings), &gradient(&clean, &settings));
        }
    }
}

#[test]
fn masked_positions_have_no_gradient() {
    let batch = Batch::new();
    for kind in LossType::ALL {
        let grads = gradient(&batch.inputs(), &everything(kind));
        for i in [8, 9, 14] {
            assert_eq!(grads[i], 0.0, "{kind:?}");
        }
    }
}

#[test]
fn a_batch_without_tokens_has_no_loss_and_no_gradient() {
    let nan = f32::NAN;
    let logprobs = matrix([[nan; 2]; 2]);
    let (advantages, mask) = (list(&[1.0, nan]), matrix([[0.0; 2]; 2]));
    for kind in LossType::ALL {
        for level in [Ratio::Token, Ratio::Sequence] {
            let inputs = LossInputs {
                old_logprobs: Some(&logprobs),
                ref_logprobs: Some(&logprobs),
                entropies: Some(&logprobs),
                ..LossInputs::new(&logprobs, &advantages, &mask)
            };
            let settings = LossSettings {
                importance_sampling_level: level,
                ..everything(kind)
            };
            assert_eq!(value(&inputs, &settings), 0.0, "{kind:?}");
            assert_eq!(gradient(&inputs, &settings), [0.0; 4], "{kind:?}");
            let (_, watched) = loss(&inputs, &settings).unwrap();
            for (name, number) in watched {
                assert!(item(&number).unwrap().is_finite(), "{kind:?}: {name}");
            }
        }
    }
}

#[test]
fn a_row_without_tokens_changes_only_the_number_of_rows() {
    let mut batch = Batch::new();
    batch.mask = matrix([[1.0; 5], [0.0; 5], [1.0; 5]]);
    let fewer = part(&batch, &[0, 2]);
    for (kind, factor) in [
        (LossType::Dapo, 1.0),
        (LossType::Bnpo, 1.0),
        (LossType::Cispo, 1.0),
        (LossType::Vespo, 1.0),
        (LossType::Grpo, 2.0 / 3.0),
        (LossType::Sapo, 2.0 / 3.0),
        (LossType::Luspo, 2.0 / 3.0),
        (LossType::DrGrpo, 2.0 / 3.0),
    ] {
        let expected = factor * value(&fewer.inputs(), &of(kind));
        close(value(&batch.inputs(), &of(kind)), expected);
    }
}

#[test]
fn sequences_may_be_permuted() {
    let batch = Batch::new();
    let turned = part(&batch, &[2, 0, 1]);
    for kind in LossType::ALL {
        let settings = everything(kind);
        close(
            value(&turned.inputs(), &settings),
            value(&batch.inputs(), &settings),
        );
        let (a, b) = (
            gradient(&batch.inputs(), &settings),
            gradient(&turned.inputs(), &settings),
        );
        all_close(&b[..5], &a[10..]);
        all_close(&b[5..], &a[..10]);
    }
}

#[test]
fn padding_on_the_right_changes_nothing() {
    let batch = Batch::new();
    let wider = |a: &Array, fill: f32| {
        let more = ops::full::<f32>(&[3, 2], number(fill)).unwrap();
        ops::concatenate(&[a.clone(), more], 1).unwrap()
    };
    let padded = Batch {
        logprobs: wider(&batch.logprobs, -3.0),
        old: wider(&batch.old, -1.0),
        reference: wider(&batch.reference, 0.0),
        entropies: wider(&batch.entropies, 4.0),
        advantages: batch.advantages.clone(),
        mask: wider(&batch.mask, 0.0),
    };
    for kind in LossType::ALL {
        let settings = everything(kind);
        close(
            value(&padded.inputs(), &settings),
            value(&batch.inputs(), &settings),
        );
    }
}

#[test]
fn advantages_of_tokens_may_be_those_of_their_rows() {
    let batch = Batch::new();
    let column = batch.advantages.reshape(&[3, 1]).unwrap();
    let of_tokens = ops::broadcast_to(&column, &[3, 5]).unwrap();
    for kind in LossType::ALL {
        let inputs = LossInputs {
            advantages: &of_tokens,
            ..batch.inputs()
        };
        let settings = everything(kind);
        close(value(&inputs, &settings), value(&batch.inputs(), &settings));
    }
}

/// Rows 0 and 1, and row 2, as micro-batches of one step.
#[test]
fn micro_batches_sum_to_the_step() {
    let batch = Batch::new();
    let parts = [part(&batch, &[0, 1]), part(&batch, &[2])];
    let tokens = [8.0f32, 4.0];
    let threshold = entropy_threshold(&batch.entropies, &batch.mask, 0.4).unwrap();
    for kind in LossType::ALL {
        let settings = LossSettings {
            beta: 0.2,
            top_entropy_quantile: 0.6,
            off_policy_mask_threshold: Some(0.1),
            ..of(kind)
        };
        let whole = gradient(&batch.inputs(), &settings);
        let mut summed = Vec::new();
        let mut total = 0.0;
        for (i, micro) in parts.iter().enumerate() {
            let rows = micro.logprobs.dim(0) as f32;
            // bnpo is weighed by tokens, the others by rows.
            let share = match kind {
                LossType::Bnpo => tokens[i] / 12.0,
                _ => rows / 3.0,
            };
            let inputs = LossInputs {
                num_items_in_batch: Some(12.0),
                gradient_accumulation_steps: 1.0 / share,
                entropy_threshold: Some(item(&threshold).unwrap()),
                ..micro.inputs()
            };
            total += value(&inputs, &settings);
            summed.extend(gradient(&inputs, &settings));
        }
        close(total, value(&batch.inputs(), &settings));
        all_close(&summed, &whole);
    }
}

#[test]
fn accumulation_divides_what_is_not_divided_by_the_step_s_tokens() {
    let batch = Batch::new();
    for kind in LossType::ALL {
        let whole = LossInputs {
            num_items_in_batch: Some(12.0),
            ..batch.inputs()
        };
        let quarter = LossInputs {
            gradient_accumulation_steps: 4.0,
            ..whole.clone()
        };
        let divisor = match kind {
            LossType::Dapo | LossType::Cispo | LossType::Vespo => 1.0,
            _ => 4.0,
        };
        let expected = value(&whole, &of(kind)) / divisor;
        close(value(&quarter, &of(kind)), expected);
    }
}

#[test]
fn advantages_of_the_other_sign_turn_the_gradient_on_policy() {
    let batch = Batch::new();
    let turned = batch.advantages.negative().unwrap();
    for kind in LossType::ALL {
        // The temperatures of sapo do not matter to the gradient where the ratio is 1.
        let inputs = LossInputs {
            advantages: &turned,
            ..batch.on_policy()
        };
        let grads: Vec<f32> = gradient(&inputs, &of(kind)).iter().map(|g| -g).collect();
        all_close(&grads, &gradient(&batch.on_policy(), &of(kind)));
    }
}

#[test]
fn luspo_is_grpo_times_length_and_twins_change_nothing() {
    let batch = Batch::new();
    let luspo = gradient(&batch.inputs(), &of(LossType::Luspo));
    let grpo = gradient(&batch.inputs(), &of(LossType::Grpo));
    for (i, length) in [5.0, 3.0, 4.0].into_iter().enumerate() {
        let row = i * 5..(i + 1) * 5;
        let times: Vec<f32> = grpo[row.clone()].iter().map(|g| g * length).collect();
        all_close(&luspo[row], &times);
    }
    // A batch twice is the batch, for every mean.
    let twice = part(&batch, &[0, 1, 2, 0, 1, 2]);
    for kind in LossType::ALL {
        // Twice as many entropies have their quantile elsewhere.
        let settings = LossSettings {
            top_entropy_quantile: 1.0,
            ..everything(kind)
        };
        let once = value(&batch.inputs(), &settings);
        close(value(&twice.inputs(), &settings), once);
    }
}

#[test]
fn half_precision_inputs_are_computed_in_single() {
    let batch = Batch::new();
    let half = batch.logprobs.as_dtype(Dtype::Bfloat16).unwrap();
    let wide = half.as_dtype(Dtype::Float32).unwrap();
    let run = |logprobs: &Array| {
        let inputs = LossInputs {
            logprobs,
            ..batch.inputs()
        };
        loss(&inputs, &LossSettings::default()).unwrap().0
    };
    assert_eq!(run(&half).dtype(), Dtype::Float32);
    assert_eq!(item(&run(&half)).unwrap(), item(&run(&wide)).unwrap());
}
