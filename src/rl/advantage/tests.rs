use super::*;

const NONE: [Option<f64>; 1] = [None];

fn rows(values: &[f64]) -> Vec<Vec<Option<f64>>> {
    values.iter().map(|v| vec![Some(*v)]).collect()
}

fn with(scale_rewards: Scale, baseline: Baseline) -> AdvantageSettings {
    AdvantageSettings {
        scale_rewards,
        baseline,
        ..AdvantageSettings::default()
    }
}

fn get(rewards: &[f64], group: usize, settings: &AdvantageSettings) -> Vec<f64> {
    advantages(&rows(rewards), group, settings).unwrap()
}

#[track_caller]
fn close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (i, (a, b)) in got.iter().zip(expected).enumerate() {
        assert!((a - b).abs() < 1e-9, "{i}: {a}, not {b}");
    }
}

#[test]
fn groups_are_normalised_apart() {
    let rewards = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    let got = get(&rewards, 4, &AdvantageSettings::default());
    // From TRL 1.16.
    for (a, b) in got.iter().zip([1.0, -1.0, -1.0, 1.0]) {
        assert!((a - b * 0.865_875_43).abs() < 1e-8);
    }
    assert_eq!(got[4..], [0.0; 4]);
}

#[test]
fn without_a_scale_only_the_mean_is_taken() {
    let got = get(
        &[3.0, 1.0, 10.0, 20.0],
        2,
        &with(Scale::None, Baseline::Mean),
    );
    close(&got, &[1.0, -1.0, -5.0, 5.0]);
}

#[test]
fn a_batch_has_one_deviation_and_a_mean_for_each_group() {
    let rewards = [0.0, 2.0, 10.0, 12.0];
    let got = get(&rewards, 2, &with(Scale::Batch, Baseline::Mean));
    // Mean 6, squares 36 + 16 + 16 + 36 over 3.
    let deviation = (104.0f64 / 3.0).sqrt() + 1e-4;
    close(
        &got,
        &[-1.0, 1.0, -1.0, 1.0].map(|sign: f64| sign / deviation),
    );
}

#[test]
fn each_group_sums_to_zero() {
    let rewards = [0.3, -1.0, 7.0, 2.5, 0.0, 0.1, 0.2, 0.9];
    for scale in [Scale::Group, Scale::Batch, Scale::None] {
        for baseline in [Baseline::Mean, Baseline::LeaveOneOut] {
            let got = get(&rewards, 4, &with(scale, baseline));
            for group in got.chunks(4) {
                assert!(group.iter().sum::<f64>().abs() < 1e-12, "{scale:?}");
            }
        }
    }
}

#[test]
fn a_constant_added_to_a_group_changes_nothing() {
    let near = [0.3, -1.0, 7.0, 2.5];
    let far = near.map(|r| r + 8.0);
    for baseline in [Baseline::Mean, Baseline::LeaveOneOut] {
        let settings = with(Scale::Group, baseline);
        close(&get(&near, 4, &settings), &get(&far, 4, &settings));
    }
}

#[test]
fn a_factor_disappears_in_the_deviation_but_for_its_addend() {
    let small = [1.0, 2.0, 4.0, 8.0];
    let large = small.map(|r| r * 1000.0);
    let settings = AdvantageSettings::default();
    let (a, b) = (get(&small, 4, &settings), get(&large, 4, &settings));
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() < 1e-4);
        assert!(b.abs() > a.abs());
    }
}

#[test]
fn order_within_a_group_is_kept() {
    let got = get(&[5.0, 1.0, 3.0, 2.0], 4, &AdvantageSettings::default());
    assert!(got[0] > got[2] && got[2] > got[3] && got[3] > got[1]);
}

#[test]
fn rows_may_be_permuted_within_a_group() {
    let settings = AdvantageSettings::default();
    let got = get(&[5.0, 1.0, 3.0, 2.0], 4, &settings);
    let turned = get(&[2.0, 5.0, 1.0, 3.0], 4, &settings);
    close(&turned, &[got[3], got[0], got[1], got[2]]);
}

#[test]
fn leaving_one_out_compares_with_the_others() {
    let got = get(
        &[1.0, 2.0, 6.0],
        3,
        &with(Scale::None, Baseline::LeaveOneOut),
    );
    close(&got, &[1.0 - 4.0, 2.0 - 3.5, 6.0 - 1.5]);
}

#[test]
fn leaving_one_out_of_two_is_their_difference() {
    let got = get(&[1.0, 4.0], 2, &with(Scale::None, Baseline::LeaveOneOut));
    close(&got, &[-3.0, 3.0]);
}

#[test]
fn leaving_one_out_is_the_mean_times_a_factor() {
    let rewards = [0.3, -1.0, 7.0, 2.5];
    for scale in [Scale::Group, Scale::Batch, Scale::None] {
        let mean = get(&rewards, 4, &with(scale, Baseline::Mean));
        let out = get(&rewards, 4, &with(scale, Baseline::LeaveOneOut));
        let expected: Vec<f64> = mean.iter().map(|a| a * 4.0 / 3.0).collect();
        close(&out, &expected);
    }
}

#[test]
fn leaving_one_out_counts_only_who_was_scored() {
    let rewards = [[Some(1.0)], NONE, [Some(3.0)], [Some(8.0)]].map(|row| row.to_vec());
    let settings = with(Scale::None, Baseline::LeaveOneOut);
    let got = advantages(&rewards, 4, &settings).unwrap();
    close(&got, &[1.0 - 5.5, 0.0, 3.0 - 4.5, 8.0 - 2.0]);
}

#[test]
fn unscorable_rows_are_zero_and_count_for_nobody() {
    let rewards = [[Some(1.0)], NONE, [Some(3.0)], NONE].map(|row| row.to_vec());
    let got = advantages(&rewards, 4, &with(Scale::None, Baseline::Mean)).unwrap();
    close(&got, &[-1.0, 0.0, 1.0, 0.0]);
}

#[test]
fn who_is_alone_in_a_group_has_no_advantage() {
    let rewards = [[Some(5.0)], NONE, NONE, NONE].map(|row| row.to_vec());
    for baseline in [Baseline::Mean, Baseline::LeaveOneOut] {
        for scale in [Scale::Group, Scale::Batch, Scale::None] {
            let got = advantages(&rewards, 4, &with(scale, baseline)).unwrap();
            close(&got, &[0.0; 4]);
        }
    }
}

#[test]
fn a_batch_without_any_score_has_no_advantages() {
    let rewards = vec![vec![None, None]; 4];
    for aggregation in [Aggregation::SumThenNormalize, Aggregation::NormalizeThenSum] {
        let settings = AdvantageSettings {
            multi_objective_aggregation: aggregation,
            ..AdvantageSettings::default()
        };
        assert_eq!(advantages(&rewards, 2, &settings).unwrap(), [0.0; 4]);
    }
}

#[test]
fn a_missing_score_of_several_counts_as_nothing_earned() {
    let partly = vec![vec![Some(1.0), None], vec![Some(1.0), Some(2.0)]];
    let filled = vec![vec![Some(1.0), Some(0.0)], vec![Some(1.0), Some(2.0)]];
    let settings = AdvantageSettings::default();
    let got = advantages(&partly, 2, &settings).unwrap();
    close(&got, &advantages(&filled, 2, &settings).unwrap());
    assert!(got[0] < 0.0);
}

#[test]
fn weights_multiply_the_rewards() {
    let two = vec![vec![Some(1.0), Some(5.0)], vec![Some(2.0), Some(1.0)]];
    let settings = AdvantageSettings {
        reward_weights: vec![3.0, -1.0],
        ..with(Scale::None, Baseline::Mean)
    };
    // Sums -2 and 5.
    close(&advantages(&two, 2, &settings).unwrap(), &[-3.5, 3.5]);
}

#[test]
fn a_weight_of_zero_switches_a_reward_off() {
    let two = vec![vec![Some(1.0), Some(5.0)], vec![Some(2.0), Some(-9.0)]];
    let settings = AdvantageSettings {
        reward_weights: vec![1.0, 0.0],
        ..AdvantageSettings::default()
    };
    let one = get(&[1.0, 2.0], 2, &AdvantageSettings::default());
    close(&advantages(&two, 2, &settings).unwrap(), &one);
}

#[test]
fn normalising_first_makes_rewards_of_any_size_count_the_same() {
    let apart = AdvantageSettings {
        multi_objective_aggregation: Aggregation::NormalizeThenSum,
        ..AdvantageSettings::default()
    };
    // The second reward is 1000 times the first and against it.
    let against = [1.0, 2.0, 3.0, 6.0].map(|r| vec![Some(r), Some(-1000.0 * r)]);
    let got = advantages(&against, 4, &apart).unwrap();
    assert!(got.iter().all(|a| a.abs() < 0.7), "{got:?}");
    let summed = advantages(&against, 4, &AdvantageSettings::default()).unwrap();
    assert!(summed[0] > 0.8 && summed[3] < -1.2, "{summed:?}");
}

#[test]
fn normalising_first_ends_with_a_whitened_batch() {
    let apart = AdvantageSettings {
        multi_objective_aggregation: Aggregation::NormalizeThenSum,
        ..AdvantageSettings::default()
    };
    let got = get(&[0.3, -1.0, 7.0, 2.5, 0.0, 0.1, 0.2, 0.9], 4, &apart);
    assert!(mean(&got).abs() < 1e-12);
    assert!((deviation(&got) - 1.0).abs() < 2e-4);
}

#[test]
fn names_are_read_and_others_are_told_the_known_ones() {
    assert_eq!(
        Baseline::named("leave_one_out").unwrap(),
        Baseline::LeaveOneOut
    );
    assert_eq!(Scale::named("none").unwrap(), Scale::None);
    let error = Baseline::named("median").unwrap_err().to_string();
    assert!(error.contains("median") && error.contains("leave_one_out"));
    let error = Scale::named("std").unwrap_err().to_string();
    assert!(error.contains("group, batch or none"), "{error}");
}

#[test]
fn misfits_are_errors() {
    let settings = AdvantageSettings::default();
    let error = advantages(&rows(&[1.0, 2.0, 3.0]), 2, &settings).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("multiple of num_generations = 2")
    );
    assert!(advantages(&rows(&[1.0, f64::NAN]), 2, &settings).is_err());
    assert!(advantages(&rows(&[1.0, f64::INFINITY]), 2, &settings).is_err());
    let two = AdvantageSettings {
        reward_weights: vec![1.0, 2.0],
        ..settings
    };
    assert!(advantages(&rows(&[1.0, 2.0]), 2, &two).is_err());
}
