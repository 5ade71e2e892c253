//! Frequencies of draws, rows alone and in batches, kept sets by two ways.

use super::*;
use crate::mlx::random::{Host, derive};
use crate::mlx::{Array, Dtype};
use crate::tensor::{to_f32, to_i32};
use mlx_rs::ops;

fn row(change: impl Fn(&mut SamplerSettings)) -> RowSettings {
    let mut row = RowSettings::default();
    change(&mut row.sampler);
    row
}

fn sampler(change: impl Fn(&mut SamplerSettings)) -> Sampler {
    Sampler::uniform(row(change)).unwrap()
}

fn chances(seed: u64, n: usize) -> Vec<Chance> {
    let mut host = Host::new(seed);
    let chance = |_| Chance {
        draw: host.uniform(),
        xtc: host.uniform(),
    };
    (0..n).map(chance).collect()
}

/// Random logits `[rows, vocab]`.
fn logits(rows: usize, vocab: usize, seed: u64) -> Array {
    let mut host = Host::new(seed);
    let values = (0..rows * vocab).map(|_| host.uniform() * 6.0 - 3.0);
    Array::from_iter(values, &[rows as i32, vocab as i32])
}

/// Draws `n` tokens from the same distribution and counts them.
fn counts(sampler: &Sampler, logits: &[f32], n: usize) -> Vec<f64> {
    let vocab = logits.len() as i32;
    let logits = Array::from_slice(logits, &[1, vocab]);
    let logits = ops::broadcast_to(&logits, &[n as i32, vocab]).unwrap();
    let draw = sampler.draw(&logits, None, &chances(11, n)).unwrap();
    let mut counts = vec![0.0; vocab as usize];
    for token in to_i32(&draw.tokens).unwrap() {
        counts[token as usize] += 1.0;
    }
    counts
}

/// Asserts that counts follow weights, at the 0.1 % point of chi-square.
#[track_caller]
fn assert_follows(counts: &[f64], weights: &[f64]) {
    let (n, total): (f64, f64) = (counts.iter().sum(), weights.iter().sum());
    let mut chi = 0.0;
    for (count, weight) in counts.iter().zip(weights) {
        let expected = weight / total * n;
        match expected > 0.0 {
            true => chi += (count - expected).powi(2) / expected,
            false => assert_eq!(*count, 0.0, "an excluded token was drawn"),
        }
    }
    let freedom = weights.iter().filter(|w| **w > 0.0).count() - 1;
    let limit = [0.0, 10.83, 13.82, 16.27, 18.47][freedom];
    assert!(chi <= limit, "{counts:?} for {weights:?}: {chi}");
}

const LOGITS: [f32; 5] = [1.0, 0.0, -1.0, 2.0, 0.5];

/// The weights of some tokens at a temperature.
fn weights(temperature: f32, kept: &[usize]) -> Vec<f64> {
    let weight = |(i, l): (usize, &f32)| match kept.contains(&i) {
        true => f64::from(l / temperature).exp(),
        false => 0.0,
    };
    LOGITS.iter().enumerate().map(weight).collect()
}

#[test]
fn frequencies_follow_the_distribution() {
    let all = [0, 1, 2, 3, 4];
    let cases: [(&dyn Fn(&mut SamplerSettings), f32, &[usize]); 6] = [
        (&|_| (), 1.0, &all),
        (&|s| s.temperature = 0.7, 0.7, &all),
        (&|s| s.top_k = 2, 1.0, &[0, 3]),
        (&|s| s.top_p = 0.8, 1.0, &[0, 3, 4]),
        (&|s| (s.min_p, s.temperature) = (0.2, 1.5), 1.5, &[0, 3, 4]),
        (
            &|s| (s.xtc_probability, s.xtc_threshold) = (1.0, 0.2),
            1.0,
            &[0, 1, 2, 4],
        ),
    ];
    for (change, temperature, kept) in cases {
        let counts = counts(&sampler(change), &LOGITS, 20_000);
        assert_follows(&counts, &weights(temperature, kept));
    }
}

/// With a probability of a half, tokens come from two distributions in equal parts.
#[test]
fn xtc_happens_as_often_as_it_should() {
    let half = sampler(|s| (s.xtc_probability, s.xtc_threshold) = (0.5, 0.2));
    let counts = counts(&half, &LOGITS, 20_000);
    let share = |kept: &[usize]| {
        let weights = weights(1.0, kept);
        let total: f64 = weights.iter().sum();
        weights
            .into_iter()
            .map(move |w| w / total)
            .collect::<Vec<_>>()
    };
    let (without, with) = (share(&[0, 1, 2, 3, 4]), share(&[0, 1, 2, 4]));
    let mixed: Vec<f64> = without.iter().zip(with).map(|(a, b)| a + b).collect();
    assert_follows(&counts, &mixed);
}

#[test]
fn log_probabilities_ignore_filters_and_penalties_and_know_the_temperature() {
    let logits = Array::from_slice(&[1.0f32, 0.0, -1.0], &[1, 3]);
    let mut settings = row(|s| (s.temperature, s.top_k) = (0.5, 1));
    settings.penalties.logit_bias = vec![(1, 5.0)];
    let chance = [Chance {
        draw: 0.99,
        xtc: 0.0,
    }];
    let draw = Sampler::uniform(settings)
        .unwrap()
        .draw(&logits, None, &chance)
        .unwrap();
    assert_eq!(to_i32(&draw.tokens).unwrap(), [1]);
    let total: f32 = [2.0f32, 0.0, -2.0].iter().map(|x| x.exp()).sum();
    assert!((to_f32(&draw.logprobs).unwrap()[0] - (0.0 - total.ln())).abs() < 1e-6);
}

#[test]
fn greedy_takes_the_first_of_the_likeliest() {
    let logits = Array::from_slice(&[1.0f32, 3.0, 3.0], &[1, 3]);
    let greedy = sampler(|s| s.temperature = 0.0);
    let draw = greedy.draw(&logits, None, &chances(1, 1)).unwrap();
    assert_eq!(to_i32(&draw.tokens).unwrap(), [1]);
    let p = greedy.distribution(&logits, None, &chances(1, 1)).unwrap();
    assert_eq!(to_f32(&p).unwrap(), [0.0, 1.0, 0.0]);
}

/// Settings of many kinds, for rows of one batch.
fn many() -> Vec<RowSettings> {
    let mut rows = vec![
        row(|_| ()),
        row(|s| s.temperature = 0.0),
        row(|s| s.temperature = 0.6),
        row(|s| s.top_p = 0.7),
        row(|s| (s.top_p, s.top_k) = (0.9, 4)),
        row(|s| (s.top_p, s.top_k, s.temperature) = (0.5, 4, 1.4)),
        row(|s| (s.min_p, s.min_tokens_to_keep) = (0.3, 3)),
        row(|s| (s.xtc_probability, s.xtc_special_tokens) = (0.5, vec![2])),
        row(|s| (s.xtc_probability, s.xtc_threshold) = (0.8, 0.05)),
        row(|s| s.top_k = 9),
    ];
    for (i, row) in rows.iter_mut().enumerate() {
        let p = &mut row.penalties;
        match i % 4 {
            0 => (p.repetition_penalty, p.repetition_context_size) = (1.4, 3),
            1 => (p.presence_penalty, p.logit_bias) = (0.7, vec![(3, 1.5), (5, -9.0)]),
            2 => (p.frequency_penalty, p.frequency_context_size) = (0.5, 0),
            _ => {}
        }
    }
    rows
}

#[test]
fn a_row_is_drawn_alone_as_in_a_batch() {
    let (settings, vocab) = (many(), 17);
    let n = settings.len();
    let together = Sampler::rows(&settings).unwrap();
    let history: Vec<Vec<i32>> = (0..n)
        .map(|i| {
            (0..6)
                .map(|j| {
                    if j < i % 4 {
                        -1
                    } else {
                        ((i * j) % vocab) as i32
                    }
                })
                .collect()
        })
        .collect();
    let flat: Vec<i32> = history.concat();
    let all_history = Array::from_slice(&flat, &[n as i32, 6]);
    for seed in 0..20 {
        let (logits, chances) = (logits(n, vocab, seed), chances(derive(seed, 1), n));
        let draw = together
            .draw(&logits, Some(&all_history), &chances)
            .unwrap();
        let (tokens, logprobs) = (
            to_i32(&draw.tokens).unwrap(),
            to_f32(&draw.logprobs).unwrap(),
        );
        for (i, settings) in settings.iter().enumerate() {
            let index = Array::from_slice(&[i as i32], &[1]);
            let own = logits.take_axis(&index, 0).unwrap();
            let history = Array::from_slice(&history[i], &[1, 6]);
            let alone = Sampler::uniform(settings.clone()).unwrap();
            let draw = alone.draw(&own, Some(&history), &chances[i..=i]).unwrap();
            assert_eq!(
                to_i32(&draw.tokens).unwrap(),
                tokens[i..=i],
                "row {i}, seed {seed}"
            );
            let off = to_f32(&draw.logprobs).unwrap()[0] - logprobs[i];
            assert!(off.abs() < 1e-5);
        }
    }
}

/// The candidates of top-k lead to the same kept set as the whole vocabulary, sorted.
#[test]
fn few_candidates_are_filtered_as_all_tokens_are() {
    for (top_p, min_p, keep, k) in [
        (0.9, 0.0, 1, 5),
        (0.3, 0.0, 1, 8),
        (1.0, 0.2, 1, 8),
        (0.95, 0.5, 4, 6),
        (0.2, 0.9, 3, 2),
    ] {
        let change = |s: &mut SamplerSettings| {
            (s.top_p, s.min_p, s.min_tokens_to_keep, s.top_k) = (top_p, min_p, keep, k);
        };
        let few = sampler(change);
        for seed in 0..10 {
            let logits = logits(1, 40, seed);
            let total = ops::logsumexp_axis(&logits, -1, true).unwrap();
            let logprobs = logits.subtract(total).unwrap();
            let kept = to_f32(&few.filter(&logprobs, &chances(1, 1)).unwrap()).unwrap();
            let kept: Vec<usize> = (0..40).filter(|i| kept[*i].is_finite()).collect();
            let many = ops::broadcast_to(&logits, &[500, 40]).unwrap();
            let draw = few.draw(&many, None, &chances(seed, 500)).unwrap();
            let mut drawn: Vec<usize> = to_i32(&draw.tokens)
                .unwrap()
                .iter()
                .map(|t| *t as usize)
                .collect();
            drawn.sort_unstable();
            drawn.dedup();
            assert!(
                drawn.iter().all(|t| kept.contains(t)),
                "{drawn:?} of {kept:?}"
            );
            // The likeliest are drawn in any case.
            assert!(
                kept.len() > 3 || drawn.len() == kept.len(),
                "{drawn:?} of {kept:?}"
            );
        }
    }
}

#[test]
fn half_precision_is_filtered_by_sums_in_single() {
    let logits = logits(1, 300, 4).as_dtype(Dtype::Bfloat16).unwrap();
    let total = ops::logsumexp_axis(&logits.as_dtype(Dtype::Float32).unwrap(), -1, true).unwrap();
    let logprobs = logits
        .subtract(total)
        .unwrap()
        .as_dtype(Dtype::Bfloat16)
        .unwrap();
    let kept = top_p(&logprobs, 0.5).unwrap();
    assert_eq!(kept.dtype(), Dtype::Bfloat16);
    let whole = to_f32(&top_p(&logprobs.as_dtype(Dtype::Float32).unwrap(), 0.5).unwrap()).unwrap();
    let same = to_f32(&kept)
        .unwrap()
        .iter()
        .zip(&whole)
        .all(|(a, b)| a.is_finite() == b.is_finite());
    assert!(same);
}

#[test]
fn penalties_are_those_of_mlx_lm() {
    let logits = Array::from_slice(&[1.0f32, -1.0, 0.5, 2.0, -2.0, 0.0], &[6]);
    let history = Array::from_slice(&[0i32, 0, 1, 3, 3, 3], &[6]);
    let close = |a: &Array, b: [f32; 6]| {
        let a = to_f32(a).unwrap();
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    };
    let repeated = repetition_penalty(&logits, &history, 1.3, 20).unwrap();
    assert!(close(
        &repeated,
        [1.0 / 1.3, -1.3, 0.5, 2.0 / 1.3, -2.0, 0.0]
    ));
    let present = presence_penalty(&logits, &history, 0.5, 3).unwrap();
    assert!(close(&present, [1.0, -1.0, 0.5, 1.5, -2.0, 0.0]));
    let frequent = frequency_penalty(&logits, &history, 0.5, 0).unwrap();
    assert!(close(&frequent, [0.0, -1.5, 0.5, 0.5, -2.0, 0.0]));
    let biased = logit_bias(&logits, &[(0, 1.0), (5, -3.0)]).unwrap();
    assert!(close(&biased, [2.0, -1.0, 0.5, 2.0, -2.0, -3.0]));
    // Nothing but padding changes nothing.
    let none = Array::from_slice(&[-1i32, -1], &[2]);
    let same = repetition_penalty(&logits, &none, 1.3, 20).unwrap();
    assert!(close(&same, [1.0, -1.0, 0.5, 2.0, -2.0, 0.0]));
    let outside = Array::from_slice(&[6i32], &[1]);
    assert!(frequency_penalty(&logits, &outside, 1.0, 0).is_err());
}
