//! The entropy mask and its quantile.

use super::*;
use crate::tensor::select::entropy;
use crate::tensor::to_bool;

fn kept<const B: usize, const L: usize>(
    entropies: [[f32; L]; B],
    mask: [[f32; L]; B],
    quantile: f32,
) -> Vec<usize> {
    let mask = high_entropy_mask(&matrix(entropies), &matrix(mask), quantile).unwrap();
    assert_eq!(mask.dtype(), Dtype::Bool);
    assert_eq!(mask.shape(), [B as i32, L as i32]);
    let bits = to_bool(&mask).unwrap();
    (0..bits.len()).filter(|i| bits[*i]).collect()
}

const RISING: [[f32; 6]; 2] = [
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    [0.7, 0.8, 0.9, 1.0, 1.1, 1.2],
];
const CUT: [[f32; 6]; 2] = [[1.0; 6], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]];

// The first six are TRL's own cases.
#[test]
fn the_highest_fifth_is_kept() {
    assert_eq!(kept(RISING, CUT, 0.8), [8, 9]);
}

#[test]
fn the_upper_half_is_kept() {
    assert_eq!(kept(RISING, CUT, 0.5), [5, 6, 7, 8, 9]);
}

#[test]
fn quantile_0_keeps_all_unmasked_tokens() {
    assert_eq!(kept(RISING, CUT, 0.0), (0..10).collect::<Vec<_>>());
}

#[test]
fn quantile_1_keeps_the_highest() {
    assert_eq!(kept(RISING, CUT, 1.0), [9]);
}

#[test]
fn without_tokens_nothing_is_kept() {
    for quantile in [0.0, 0.5, 1.0] {
        assert!(kept(RISING, [[0.0; 6]; 2], quantile).is_empty());
    }
}

#[test]
fn rows_share_one_quantile() {
    let entropies = [
        [0.1, 0.2, 0.3, 1.4, 0.5, 0.14],
        [0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    ];
    let mask = [[1.0, 1.0, 1.0, 1.0, 0.0, 0.0]; 2];
    assert_eq!(kept(entropies, mask, 0.8), [3, 9]);
}

#[test]
fn equal_entropies_are_all_kept() {
    for quantile in [0.0, 0.3, 0.7, 1.0] {
        assert_eq!(kept([[0.7; 5]], [[1.0; 5]], quantile), [0, 1, 2, 3, 4]);
    }
}

#[test]
fn ties_at_the_threshold_are_kept() {
    assert_eq!(kept([[3.0, 1.0, 3.0, 2.0]], [[1.0; 4]], 1.0), [0, 2]);
}

#[test]
fn one_token_is_its_own_quantile() {
    for quantile in [0.0, 0.5, 1.0] {
        let mask = [[0.0, 1.0, 0.0]];
        assert_eq!(kept([[9.0, 0.2, 9.0]], mask, quantile), [1]);
    }
}

#[test]
fn certain_tokens_can_be_kept_too() {
    assert_eq!(kept([[0.0, 0.0]], [[1.0, 1.0]], 0.5), [0, 1]);
}

#[test]
fn masked_junk_neither_counts_nor_is_kept() {
    for junk in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
        let entropies = [[0.1, junk, 0.3, 0.4, junk]];
        let mask = [[1.0, 0.0, 1.0, 1.0, 0.0]];
        assert_eq!(kept(entropies, mask, 0.5), [2, 3]);
    }
}

#[test]
fn the_count_falls_as_the_quantile_rises() {
    let entropies = [[0.3, 2.0, 0.1, 1.5, 0.7, 0.9, 1.1, 0.2]];
    let mut before = 8;
    for step in 0..=20 {
        let now = kept(entropies, [[1.0; 8]], step as f32 / 20.0).len();
        assert!(now <= before && now >= 1);
        before = now;
    }
    assert_eq!(before, 1);
}

#[test]
fn the_mask_may_be_of_any_type() {
    let entropies = matrix([[0.1, 0.9, 0.3]]);
    let whole = Array::from_slice(&[1i32, 1, 0], &[1, 3]);
    let truth = Array::from_slice(&[true, true, false], &[1, 3]);
    for mask in [whole, truth] {
        let got = high_entropy_mask(&entropies, &mask, 1.0).unwrap();
        assert_eq!(to_bool(&got).unwrap(), [false, true, false]);
    }
}

#[test]
fn an_empty_batch_gives_an_empty_mask() {
    let empty = Array::from_slice::<f32>(&[], &[2, 0]);
    let got = high_entropy_mask(&empty, &empty, 0.5).unwrap();
    assert_eq!(got.shape(), [2, 0]);
    assert!(entropy_threshold(&empty, &empty, 0.5).is_err());
}

#[test]
fn misfits_are_errors() {
    let (a, narrow) = (matrix([[0.1, 0.2]]), matrix([[1.0]]));
    assert!(message(high_entropy_mask(&a, &narrow, 0.5)).contains("mask"));
    assert!(message(high_entropy_mask(&list(&[0.1]), &narrow, 0.5)).contains("entropies"));
    for quantile in [-0.1, 1.1, f32::NAN] {
        let error = message(high_entropy_mask(&a, &a, quantile));
        assert!(error.contains("from 0 to 1"), "{error}");
    }
}

#[track_caller]
fn threshold(values: &[f32], quantile: f32) -> f32 {
    let ones = list(&vec![1.0; values.len()]);
    item(&entropy_threshold(&list(values), &ones, quantile).unwrap()).unwrap()
}

#[test]
fn the_quantile_is_interpolated_linearly() {
    // torch.quantile([1, 2, 4, 8], q) for q = 0.5, 0.25, 0.9.
    let values = [8.0, 1.0, 4.0, 2.0];
    close(threshold(&values, 0.5), 3.0);
    close(threshold(&values, 0.25), 1.75);
    close(threshold(&values, 0.9), 6.8);
}

#[test]
fn whole_ranks_are_exactly_their_values() {
    let values = [0.1, 0.7, 0.3, 0.9, 0.5];
    for (i, expected) in [0.1, 0.3, 0.5, 0.7, 0.9].into_iter().enumerate() {
        assert_eq!(threshold(&values, i as f32 / 4.0), expected);
    }
}

#[test]
fn the_quantile_has_no_gradient() {
    let f = |a: &[Array]| Ok(vec![entropy_threshold(&a[0], &list(&[1.0; 3]), 0.5)?]);
    let leaves = [list(&[0.1, 0.2, 0.3])];
    let grads = autograd::value_and_grad(f, &leaves).unwrap().1;
    assert_eq!(to_f32(&grads[0]).unwrap(), [0.0; 3]);
}

fn of_logits<const B: usize, const V: usize>(logits: [[f32; V]; B]) -> Vec<f32> {
    to_f32(&entropy(&matrix(logits)).unwrap()).unwrap()
}

#[test]
fn entropy_of_equal_logits_is_the_logarithm_of_their_number() {
    close(of_logits([[3.0; 7]])[0], 7f32.ln());
}

#[test]
fn entropy_of_two_outcomes_is_the_binary_entropy() {
    let p = 0.2f32;
    let expected = -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
    close(of_logits([[p.ln(), (1.0 - p).ln()]])[0], expected);
}

#[test]
fn entropy_ignores_a_constant_and_the_order() {
    let base = of_logits([[0.3, -1.0, 2.0]])[0];
    close(of_logits([[100.3, 99.0, 102.0]])[0], base);
    close(of_logits([[2.0, 0.3, -1.0]])[0], base);
}

#[test]
fn entropy_is_between_0_and_that_of_equal_logits() {
    for got in of_logits([[0.3, -1.0, 2.0], [50.0, -50.0, 0.0], [0.0, 0.1, -0.1]]) {
        assert!((0.0..=3f32.ln() + 1e-6).contains(&got), "{got}");
    }
}

#[test]
fn entropy_rises_with_the_temperature() {
    let at = |t: f32| of_logits([[1.0 / t, 2.0 / t, 4.0 / t]])[0];
    assert!(at(0.5) < at(1.0) && at(1.0) < at(2.0) && at(2.0) < at(100.0));
}

#[test]
fn entropy_of_excluded_tokens_is_that_of_the_rest() {
    let excluded = of_logits([[0.3, f32::NEG_INFINITY, 2.0]])[0];
    close(excluded, of_logits([[0.3, 2.0]])[0]);
}

#[test]
fn entropy_keeps_the_leading_axes_and_is_single_precision() {
    let logits = ops::zeros::<f32>(&[2, 3, 5]).unwrap();
    let got = entropy(&logits.as_dtype(Dtype::Bfloat16).unwrap()).unwrap();
    assert_eq!((got.shape(), got.dtype()), (&[2, 3][..], Dtype::Float32));
}

/// `dH / dlogit_i = -p_i (log p_i + H)`.
#[test]
fn entropy_has_its_known_gradient() {
    let logits = [0.3f32, -1.0, 2.0];
    let f = |a: &[Array]| Ok(vec![entropy(&a[0])?]);
    let leaves = [list(&logits)];
    let (values, grads) = autograd::value_and_grad(f, &leaves).unwrap();
    let h = item(&values[0]).unwrap();
    let total: f32 = logits.iter().map(|l| l.exp()).sum();
    let expected = logits.map(|l| {
        let p = l.exp() / total;
        -p * (p.ln() + h)
    });
    all_close(&to_f32(&grads[0]).unwrap(), &expected);
}

#[test]
fn entropy_gradients_are_finite_where_a_token_is_certain_or_excluded() {
    let f = |a: &[Array]| Ok(vec![entropy(&a[0])?.sum(false)?]);
    for logits in [[200.0f32, 0.0, -200.0], [f32::NEG_INFINITY, 0.0, 1.0]] {
        let grads = autograd::value_and_grad(f, &[list(&logits)]).unwrap().1;
        let grads = to_f32(&grads[0]).unwrap();
        assert!(grads.iter().all(|g| g.is_finite()), "{grads:?}");
    }
}

#[test]
fn a_threshold_of_the_step_takes_the_place_of_the_batch_s() {
    let batch = Batch::new();
    let settings = LossSettings {
        top_entropy_quantile: 0.5,
        ..LossSettings::default()
    };
    let inputs = LossInputs {
        entropies: Some(&batch.entropies),
        entropy_threshold: Some(1.3),
        ..batch.on_policy()
    };
    let grads = gradient(&inputs, &settings);
    let acting: Vec<usize> = (0..15).filter(|i| grads[*i] != 0.0).collect();
    assert_eq!(acting, [1, 3]);
}
