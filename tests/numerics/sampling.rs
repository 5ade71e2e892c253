//! Filters, penalties and draws: the values of mlx-lm, frequencies, and rows that know nothing of
//! each other.

use crate::support::fixture;
use mlx_repl::mlx::random::Host;
use mlx_repl::mlx::{Array, Dtype, random};
use mlx_repl::sampling::{self, Chance, PenaltySettings, RowSettings, Sampler, SamplerSettings};
use mlx_repl::tensor::{Side, pad_sequences, to_f32, to_i32};
use serde_json::Value;

/// Numbers of nested lists, minus infinity among them.
fn floats(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(list) => list.iter().flat_map(floats).collect(),
        Value::String(_) => vec![f32::NEG_INFINITY],
        number => vec![number.as_f64().unwrap() as f32],
    }
}

fn input(all: &Value, case: &Value, key: &str) -> Array {
    let entry = &all["inputs"][case["input"].as_str().unwrap()];
    let values = floats(&entry[key]);
    let shape = match entry[key][0].as_array() {
        None => vec![values.len() as i32],
        Some(row) => vec![(values.len() / row.len()) as i32, row.len() as i32],
    };
    let dtype = match entry["dtype"].as_str().unwrap() {
        "bfloat16" => Dtype::Bfloat16,
        _ => Dtype::Float32,
    };
    Array::from_slice(&values, &shape).as_dtype(dtype).unwrap()
}

fn ids(value: &Value) -> Vec<i32> {
    let list = value.as_array().into_iter().flatten();
    list.map(|id| id.as_i64().unwrap() as i32).collect()
}

/// A history of rows, padded on the left.
fn history(case: &Value) -> Array {
    let rows: Vec<Vec<i32>> = case["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(ids)
        .collect();
    pad(&rows)
}

fn pad(rows: &[Vec<i32>]) -> Array {
    let rows: Vec<&[i32]> = rows.iter().map(Vec::as_slice).collect();
    pad_sequences(&rows, -1, Side::Left)
}

/// Rows of a flat list of values.
fn rows(a: &Array) -> Vec<Vec<f32>> {
    let values = to_f32(a).unwrap();
    values
        .chunks(a.dim(-1) as usize)
        .map(<[f32]>::to_vec)
        .collect()
}

#[test]
fn kept_sets_are_those_of_mlx_lm() {
    let all = fixture("sampling.json");
    let cases = all["filters"].as_array().unwrap();
    for case in cases {
        let (logprobs, s) = (input(&all, case, "logprobs"), &case["settings"]);
        let number = |key: &str| s[key].as_f64().unwrap() as f32;
        let whole = |key: &str| s[key].as_i64().unwrap() as i32;
        let filter = case["filter"].as_str().unwrap();
        let result = match filter {
            "top_p" => sampling::top_p(&logprobs, number("top_p")),
            "min_p" => sampling::min_p(&logprobs, number("min_p"), whole("min_tokens_to_keep")),
            "top_k" => sampling::top_k(&logprobs, whole("top_k")),
            _ => {
                let chances = vec![0.5; logprobs.size() / logprobs.dim(-1) as usize];
                let special = ids(&s["special_tokens"]);
                sampling::xtc(&logprobs, 1.0, number("threshold"), &special, &chances)
            }
        };
        let result = result.unwrap();
        assert_eq!(result.shape(), logprobs.shape());
        assert_eq!(result.dtype(), logprobs.dtype());
        let entry = &all["inputs"][case["input"].as_str().unwrap()];
        // Which of equal tokens a count cuts off is nobody's choice: then their values count.
        let counted = filter == "top_k" || (filter == "min_p" && whole("min_tokens_to_keep") > 1);
        let by_value = counted && entry["ties"].as_bool().unwrap();
        let expected = case["kept"].as_array().unwrap();
        for ((before, after), expected) in rows(&logprobs).iter().zip(rows(&result)).zip(expected) {
            let marks = expected.as_str().unwrap().bytes();
            let mut wanted: Vec<f32> = before
                .iter()
                .zip(marks)
                .map(|(x, mark)| if mark == b'x' { *x } else { f32::NEG_INFINITY })
                .collect();
            let mut found = after;
            if by_value {
                wanted.sort_by(f32::total_cmp);
                found.sort_by(f32::total_cmp);
            }
            assert_eq!(found, wanted, "{filter} {s} of {}", case["input"]);
        }
    }
    assert!(cases.len() > 250);
}

fn penalty_settings(s: &Value) -> PenaltySettings {
    let mut settings = PenaltySettings::default();
    let number = |key: &str, into: &mut f32| {
        if let Some(value) = s[key].as_f64() {
            *into = value as f32;
        }
    };
    let count = |key: &str, into: &mut usize| {
        if let Some(value) = s[key].as_u64() {
            *into = value as usize;
        }
    };
    number("repetition_penalty", &mut settings.repetition_penalty);
    number("presence_penalty", &mut settings.presence_penalty);
    number("frequency_penalty", &mut settings.frequency_penalty);
    count(
        "repetition_context_size",
        &mut settings.repetition_context_size,
    );
    count("presence_context_size", &mut settings.presence_context_size);
    count(
        "frequency_context_size",
        &mut settings.frequency_context_size,
    );
    let pairs = s["logit_bias"].as_array().into_iter().flatten();
    settings.logit_bias = pairs
        .map(|pair| {
            (
                pair[0].as_i64().unwrap() as i32,
                pair[1].as_f64().unwrap() as f32,
            )
        })
        .collect();
    settings
}

#[test]
fn penalised_logits_are_those_of_mlx_lm() {
    let all = fixture("sampling.json");
    let cases = all["penalties"].as_array().unwrap();
    for case in cases {
        let (logits, history) = (input(&all, case, "logits"), history(case));
        let s = penalty_settings(&case["settings"]);
        let strengths = [
            s.repetition_penalty,
            s.presence_penalty,
            s.frequency_penalty,
        ];
        let result = if strengths[0] != 1.0 {
            let size = s.repetition_context_size;
            sampling::repetition_penalty(&logits, &history, strengths[0], size)
        } else if strengths[1] != 0.0 {
            let size = s.presence_context_size;
            sampling::presence_penalty(&logits, &history, strengths[1], size)
        } else if strengths[2] != 0.0 {
            let size = s.frequency_context_size;
            sampling::frequency_penalty(&logits, &history, strengths[2], size)
        } else {
            sampling::logit_bias(&logits, &s.logit_bias)
        };
        let result = result.unwrap();
        assert_eq!(result.dtype(), logits.dtype());
        assert_eq!(result.shape(), logits.shape());
        let mut expected = rows(&logits);
        for (row, changed) in expected.iter_mut().zip(case["changed"].as_array().unwrap()) {
            for change in changed.as_array().unwrap() {
                row[change[0].as_u64().unwrap() as usize] = change[1].as_f64().unwrap() as f32;
            }
        }
        for (found, expected) in rows(&result).concat().iter().zip(expected.concat()) {
            let near = (found - expected).abs() <= 1e-6 * (1.0 + expected.abs());
            assert!(near, "{found}, not {expected}: {case}");
        }
    }
    assert!(cases.len() > 250);
}

fn chain_settings(case: &Value) -> RowSettings {
    let s = &case["sampler"];
    let number = |key: &str, otherwise: f32| s[key].as_f64().map_or(otherwise, |x| x as f32);
    let whole = |key: &str, otherwise: i32| s[key].as_i64().map_or(otherwise, |x| x as i32);
    RowSettings {
        sampler: SamplerSettings {
            temperature: number("temp", 1.0),
            top_p: number("top_p", 1.0),
            top_k: whole("top_k", 0),
            min_p: number("min_p", 0.0),
            min_tokens_to_keep: whole("min_tokens_to_keep", 1),
            xtc_probability: number("xtc_probability", 0.0),
            xtc_threshold: number("xtc_threshold", 0.1),
            xtc_special_tokens: ids(&s["xtc_special_tokens"]),
        },
        penalties: penalty_settings(&case["penalties"]),
    }
}

#[test]
fn whole_chains_are_those_of_mlx_lm() {
    let all = fixture("sampling.json");
    let cases = all["chains"].as_array().unwrap();
    for case in cases {
        let logits = input(&all, case, "logits");
        let sampler = Sampler::uniform(chain_settings(case)).unwrap();
        let chances = chances(logits.dim(0) as usize, 3);
        let found = sampler.distribution(&logits, Some(&history(case)), &chances);
        let found = rows(&found.unwrap());
        for (found, expected) in found.iter().zip(case["probabilities"].as_array().unwrap()) {
            let mut wanted = vec![0.0; found.len()];
            for pair in expected.as_array().unwrap() {
                wanted[pair[0].as_u64().unwrap() as usize] = pair[1].as_f64().unwrap() as f32;
            }
            // Equal probabilities may change places where a count cuts them off.
            let mut found = found.clone();
            if case["input"] == "small_ties" {
                wanted.sort_by(f32::total_cmp);
                found.sort_by(f32::total_cmp);
            }
            for (a, b) in found.iter().zip(&wanted) {
                let near = (*a == 0.0) == (*b == 0.0) && (a - b).abs() < 2e-6;
                assert!(near, "{a}, not {b}: {case}");
            }
        }
    }
    assert!(cases.len() >= 30);
}

fn chances(n: usize, seed: u64) -> Vec<Chance> {
    let mut host = Host::new(seed);
    (0..n).map(|_| Chance::next(&mut host)).collect()
}

fn with(change: impl Fn(&mut SamplerSettings)) -> RowSettings {
    let mut settings = RowSettings::default();
    change(&mut settings.sampler);
    settings
}

const LOGITS: [f32; 6] = [1.0, 0.0, -1.0, 2.0, 0.5, 1.2];

/// The same logits for `n` rows.
fn alike(n: usize) -> Array {
    let row = Array::from_slice(&LOGITS, &[1, LOGITS.len() as i32]);
    mlx_rs::ops::broadcast_to(&row, &[n as i32, LOGITS.len() as i32]).unwrap()
}

/// Softmax over the tokens that are kept, at a temperature.
fn expected(kept: &[usize], temperature: f64) -> Vec<f64> {
    let weight = |i: usize| match kept.contains(&i) {
        true => (f64::from(LOGITS[i]) / temperature).exp(),
        false => 0.0,
    };
    let weights: Vec<f64> = (0..LOGITS.len()).map(weight).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

/// Holds counts of tokens against probabilities.
fn assert_frequencies(name: &str, tokens: &[i32], probabilities: &[f64]) {
    let mut counts = vec![0.0; probabilities.len()];
    tokens
        .iter()
        .for_each(|token| counts[*token as usize] += 1.0);
    let mut chi = 0.0;
    for (count, p) in counts.iter().zip(probabilities) {
        let mean = p * tokens.len() as f64;
        match *p == 0.0 {
            true => assert_eq!(*count, 0.0, "{name}: an excluded token was drawn"),
            false => chi += (count - mean).powi(2) / mean,
        }
    }
    // The 0.1 % points of chi-square with 1 to 5 degrees of freedom.
    let possible = probabilities.iter().filter(|p| **p > 0.0).count();
    let limit = [f64::MIN_POSITIVE, 10.83, 13.82, 16.27, 18.47, 20.52][possible - 1];
    assert!(
        chi < limit,
        "{name}: {chi} of {possible} tokens, {counts:?}"
    );
}

/// Settings, and by hand what they draw. The ids from the likeliest on are 3, 5, 0, 4, 1 and 2, with
/// probabilities of .449, .202, .165, .100, .061 and .022.
fn known() -> Vec<(&'static str, RowSettings, Vec<f64>)> {
    let all = [0, 1, 2, 3, 4, 5];
    let half = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(b).map(|(a, b)| (a + b) / 2.0).collect();
    vec![
        ("plain", with(|_| ()), expected(&all, 1.0)),
        (
            "T = 0.7",
            with(|s| s.temperature = 0.7),
            expected(&all, 0.7),
        ),
        (
            "T = 1.5",
            with(|s| s.temperature = 1.5),
            expected(&all, 1.5),
        ),
        ("greedy", with(|s| s.temperature = 0.0), expected(&[3], 1.0)),
        ("top_p", with(|s| s.top_p = 0.75), expected(&[3, 5, 0], 1.0)),
        ("top_k", with(|s| s.top_k = 2), expected(&[3, 5], 1.0)),
        (
            "top_k, hot",
            with(|s| (s.top_k, s.temperature) = (4, 2.0)),
            expected(&[3, 5, 0, 4], 2.0),
        ),
        ("min_p", with(|s| s.min_p = 0.3), expected(&[3, 5, 0], 1.0)),
        (
            "top_p of top_k",
            with(|s| (s.top_p, s.top_k) = (0.75, 5)),
            expected(&[3, 5, 0], 1.0),
        ),
        (
            "xtc",
            with(|s| (s.xtc_probability, s.xtc_threshold) = (0.5, 0.15)),
            half(expected(&all, 1.0), expected(&[0, 1, 2, 4], 1.0)),
        ),
        (
            "xtc of special tokens",
            with(|s| {
                (s.xtc_probability, s.xtc_threshold) = (0.5, 0.15);
                s.xtc_special_tokens = vec![5];
                s.top_k = 3;
            }),
            half(expected(&[3, 5, 0], 1.0), expected(&[5, 0, 4], 1.0)),
        ),
    ]
}

#[test]
fn frequencies_follow_the_distribution() {
    let n = 20_000;
    for (i, (name, settings, probabilities)) in known().into_iter().enumerate() {
        let sampler = Sampler::uniform(settings).unwrap();
        let draw = sampler
            .draw(&alike(n), None, &chances(n, i as u64))
            .unwrap();
        assert_frequencies(name, &to_i32(&draw.tokens).unwrap(), &probabilities);
    }
}

#[test]
fn rows_of_one_batch_follow_distributions_of_their_own() {
    let (known, each) = (known(), 5_000);
    let n = known.len() * each;
    let settings: Vec<RowSettings> = (0..n).map(|i| known[i % known.len()].1.clone()).collect();
    let sampler = Sampler::rows(&settings).unwrap();
    let draw = sampler.draw(&alike(n), None, &chances(n, 77)).unwrap();
    let tokens = to_i32(&draw.tokens).unwrap();
    for (i, (name, _, probabilities)) in known.iter().enumerate() {
        let own: Vec<i32> = tokens
            .iter()
            .skip(i)
            .step_by(known.len())
            .copied()
            .collect();
        assert_frequencies(name, &own, probabilities);
    }
}

/// Random logits, some of them equal.
fn random_logits(rows: i32, vocab: i32, seed: u64) -> Array {
    let key = random::key(seed).unwrap();
    mlx_rs::random::normal::<f32>(&[rows, vocab], None, 2.5, &key).unwrap()
}

/// Settings that differ in everything, penalties among them.
fn varied(i: usize, host: &mut Host) -> RowSettings {
    let mut row = known()[i % known().len()].1.clone();
    if i.is_multiple_of(2) && row.sampler.temperature > 0.0 {
        row.sampler.temperature = 0.5 + host.uniform();
    }
    if row.sampler.top_p < 1.0 {
        row.sampler.top_p = 0.2 + 0.7 * host.uniform();
    }
    let p = &mut row.penalties;
    match i % 5 {
        1 => p.repetition_penalty = 1.0 + host.uniform(),
        2 => {
            (p.presence_penalty, p.presence_context_size) = (host.uniform(), host.below(4));
            p.logit_bias = vec![(3, 1.0), (1, -0.5)];
        }
        3 => (p.frequency_penalty, p.frequency_context_size) = (-host.uniform(), 0),
        4 => p.logit_bias = vec![(host.below(40) as i32, 2.0)],
        _ => (),
    }
    row
}

#[test]
fn a_row_in_a_batch_is_the_row_alone() {
    let (count, vocab) = (44, 40);
    let mut host = Host::new(9);
    let settings: Vec<RowSettings> = (0..count).map(|i| varied(i, &mut host)).collect();
    let histories: Vec<Vec<i32>> = (0..count)
        .map(|i| (0..i % 23).map(|_| host.below(vocab) as i32).collect())
        .collect();
    let logits = random_logits(count as i32, vocab as i32, 4);
    let chances = chances(count, 5);
    let sampler = Sampler::rows(&settings).unwrap();
    assert_eq!(sampler.context(), Some(0));
    let together = sampler
        .draw(&logits, Some(&pad(&histories)), &chances)
        .unwrap();
    let filtered = rows(&sampler.filter(&logits, &chances).unwrap());
    let likely = sampler.distribution(&logits, Some(&pad(&histories)), &chances);
    let likely = rows(&likely.unwrap());
    let (tokens, logprobs) = (
        to_i32(&together.tokens).unwrap(),
        to_f32(&together.logprobs).unwrap(),
    );
    for i in 0..count {
        let alone = Sampler::uniform(settings[i].clone()).unwrap();
        let row = logits
            .take_axis(Array::from_slice(&[i as i32], &[1]), 0)
            .unwrap();
        let own = pad(&histories[i..=i]);
        let draw = alone.draw(&row, Some(&own), &chances[i..=i]).unwrap();
        assert_eq!(to_i32(&draw.tokens).unwrap(), [tokens[i]], "row {i}");
        let off = (to_f32(&draw.logprobs).unwrap()[0] - logprobs[i]).abs();
        assert!(off < 1e-5, "row {i}: {off}");
        assert_eq!(
            rows(&alone.filter(&row, &chances[i..=i]).unwrap())[0],
            filtered[i]
        );
        let p = alone
            .distribution(&row, Some(&own), &chances[i..=i])
            .unwrap();
        assert_eq!(rows(&p)[0], likely[i], "row {i}");
        assert!(likely[i][tokens[i] as usize] > 0.0);
        assert!((likely[i].iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    // A sampler that looks less far back needs less of the history.
    let near = Sampler::uniform(RowSettings {
        penalties: PenaltySettings {
            frequency_penalty: 0.5,
            frequency_context_size: 7,
            presence_penalty: 0.5,
            presence_context_size: 3,
            ..PenaltySettings::default()
        },
        ..RowSettings::default()
    });
    assert_eq!(near.unwrap().context(), Some(7));
}

/// Few candidates are drawn from without a look at the rest of the vocabulary: they have to be
/// those that the filters keep.
#[test]
fn few_candidates_are_those_that_the_filters_keep() {
    let mut host = Host::new(21);
    for i in 0..60u64 {
        // The vocabulary of every third is searched by blocks.
        let small = 30 + host.below(200) as i32;
        let (count, vocab) = (3, [128 * 90, small, small][(i % 3) as usize]);
        let logits = random_logits(count, vocab, 100 + i);
        let settings = RowSettings {
            sampler: SamplerSettings {
                top_k: 1 + host.below(40.min(vocab as usize + 5)) as i32,
                top_p: [1.0, 0.1 + 0.89 * host.uniform()][(i % 2) as usize],
                min_p: [0.0, 0.3 * host.uniform(), 0.05][(i % 5 % 3) as usize],
                min_tokens_to_keep: 1 + host.below(6) as i32,
                ..SamplerSettings::default()
            },
            ..RowSettings::default()
        };
        let sampler = Sampler::uniform(settings.clone()).unwrap();
        let chances = chances(count as usize, i);
        let total = mlx_rs::ops::logsumexp_axis(&logits, -1, true).unwrap();
        let kept = sampler
            .filter(&logits.subtract(total).unwrap(), &chances)
            .unwrap();
        let kept: Vec<bool> = to_f32(&kept)
            .unwrap()
            .iter()
            .map(|x| x.is_finite())
            .collect();
        let p = sampler.distribution(&logits, None, &chances).unwrap();
        let drawn: Vec<bool> = to_f32(&p).unwrap().iter().map(|p| *p > 0.0).collect();
        assert_eq!(drawn, kept, "{settings:?}");
    }
}

#[test]
fn what_is_reported_ignores_filters_and_penalties() {
    let logits = Array::from_slice(&[1.0f32, 0.0, -1.0], &[1, 3]);
    let row = RowSettings {
        sampler: SamplerSettings {
            temperature: 0.5,
            top_k: 1,
            ..SamplerSettings::default()
        },
        penalties: PenaltySettings {
            repetition_penalty: 3.0,
            logit_bias: vec![(1, 2.0)],
            ..PenaltySettings::default()
        },
    };
    let history = Array::from_slice(&[0i32], &[1, 1]);
    let draw = Sampler::uniform(row).unwrap();
    let draw = draw.draw(&logits, Some(&history), &chances(1, 0)).unwrap();
    assert_eq!(to_i32(&draw.tokens).unwrap(), [1]);
    let total: f32 = [2.0f32, 0.0, -2.0].iter().map(|x| x.exp()).sum();
    assert!((to_f32(&draw.logprobs).unwrap()[0] + total.ln()).abs() < 1e-6);
}

#[test]
fn padding_counts_for_nothing() {
    let logits = random_logits(2, 8, 1);
    let nothing = Array::from_slice(&[-1i32; 6], &[2, 3]);
    for f in [
        sampling::repetition_penalty,
        sampling::presence_penalty,
        sampling::frequency_penalty,
    ] {
        assert_eq!(rows(&f(&logits, &nothing, 1.7, 20).unwrap()), rows(&logits));
        // One row has a history, the other has none.
        let one = Array::from_slice(&[-1i32, 5, 5, -1, -1, -1], &[2, 3]);
        let changed = rows(&f(&logits, &one, 1.7, 20).unwrap());
        assert_eq!(changed[1], rows(&logits)[1]);
        let places: Vec<usize> = (0..8)
            .filter(|i| changed[0][*i] != rows(&logits)[0][*i])
            .collect();
        assert_eq!(places, [5]);
        // A window that holds padding only.
        let short = Array::from_slice(&[3i32, -1, -1, 3, -1, -1], &[2, 3]);
        assert_eq!(rows(&f(&logits, &short, 1.7, 2).unwrap()), rows(&logits));
    }
}

#[test]
fn wrong_arguments_are_named() {
    let logits = random_logits(2, 8, 1);
    let error = |row: RowSettings, history: Option<&Array>, n: usize| {
        let sampler = Sampler::uniform(row).unwrap();
        sampler
            .draw(&logits, history, &chances(n, 0))
            .unwrap_err()
            .to_string()
    };
    assert!(error(RowSettings::default(), None, 3).contains("chances"));
    let special = with(|s| (s.xtc_probability, s.xtc_special_tokens) = (0.5, vec![8]));
    assert!(error(special, None, 2).contains("token id 8"));
    let mut biased = RowSettings::default();
    biased.penalties.logit_bias = vec![(9, 1.0)];
    assert!(error(biased, None, 2).contains("token id 9"));
    let mut looking = RowSettings::default();
    looking.penalties.presence_penalty = 1.0;
    let three = Array::from_slice(&[1i32; 6], &[3, 2]);
    assert!(error(looking, Some(&three), 2).contains("history"));
    let mixed = [
        RowSettings::default(),
        with(|s| s.top_k = 3),
        with(|s| s.top_k = 3),
    ];
    let mixed = Sampler::rows(&mixed).unwrap();
    let message = mixed
        .draw(&logits, None, &chances(2, 0))
        .unwrap_err()
        .to_string();
    assert!(message.contains("[3, 8]"), "{message}");
    assert!(Sampler::rows(&[RowSettings::default(), with(|s| s.top_p = 2.0)]).is_err());
}
