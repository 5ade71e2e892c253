//! Values, metrics and errors.

use super::*;

#[test]
fn on_policy_values_are_trl_s() {
    let batch = Batch::new();
    let inputs = LossInputs {
        num_items_in_batch: Some(12.0),
        ..batch.on_policy()
    };
    close(value(&inputs, &of(LossType::Grpo)), -0.3);
    close(value(&inputs, &of(LossType::Dapo)), -0.466_666_67);
    close(value(&inputs, &of(LossType::Bnpo)), -0.466_666_67);
    close(value(&inputs, &of(LossType::DrGrpo)), -0.233_333_33);
    // Five times 1.2, minus three times 0.8, plus four times 0.5, over three rows.
    close(value(&inputs, &of(LossType::Luspo)), -5.6 / 3.0);
}

#[test]
fn on_policy_the_soft_gate_is_two_over_its_temperature() {
    let batch = Batch::new();
    let expected = -2.0 * (1.2 / 1.0 - 0.8 / 1.05 + 0.5 / 1.0) / 3.0;
    close(value(&batch.on_policy(), &of(LossType::Sapo)), expected);
}

#[test]
fn on_policy_cispo_and_vespo_are_the_plain_policy_gradient() {
    let batch = Batch::new();
    let sums = [-4.9f32, -2.2, -3.1];
    let expected = -(1.2 * sums[0] - 0.8 * sums[1] + 0.5 * sums[2]) / 12.0;
    close(value(&batch.on_policy(), &of(LossType::Cispo)), expected);
    close(value(&batch.on_policy(), &of(LossType::Vespo)), expected);
}

/// One token of ratio e^0.5 and advantage `a`.
fn one(a: f32, settings: &LossSettings) -> f32 {
    let (logprobs, old) = (matrix([[-1.0]]), matrix([[-1.5]]));
    let (advantages, mask) = (list(&[a]), matrix([[1.0]]));
    let inputs = LossInputs {
        old_logprobs: Some(&old),
        ..LossInputs::new(&logprobs, &advantages, &mask)
    };
    value(&inputs, settings)
}

#[test]
fn the_clip_holds_what_would_gain_only() {
    let plain = LossSettings::default();
    close(one(2.0, &plain), -1.2 * 2.0);
    close(one(-2.0, &plain), 0.5f32.exp() * 2.0);
    let wider = LossSettings {
        epsilon_high: Some(0.28),
        ..plain
    };
    close(one(2.0, &wider), -1.28 * 2.0);
}

#[test]
fn delta_bounds_the_ratio_of_bad_tokens() {
    let two_sided = LossSettings {
        delta: Some(1.5),
        ..LossSettings::default()
    };
    close(one(-2.0, &two_sided), 1.5 * 2.0);
    close(one(2.0, &two_sided), -1.2 * 2.0);
}

#[test]
fn cispo_cuts_at_five_unless_it_is_told() {
    let plain = of(LossType::Cispo);
    close(one(2.0, &plain), 0.5f32.exp() * 2.0);
    let cut = LossSettings {
        epsilon_high: Some(1.5),
        ..plain
    };
    close(one(2.0, &cut), 1.5 * 2.0);
    assert_eq!(plain.high(), 5.0);
    assert_eq!(of(LossType::Grpo).high(), 1.2);
}

#[test]
fn sapo_gates_by_the_sign_of_the_advantage() {
    let settings = of(LossType::Sapo);
    let gate = |tau: f32| 4.0 / tau / (1.0 + (-tau * (0.5f32.exp() - 1.0)).exp());
    close(one(2.0, &settings), -2.0 * gate(1.0));
    close(one(-2.0, &settings), 2.0 * gate(1.05));
}

#[test]
fn vespo_weighs_by_the_product_of_the_ratios() {
    let settings = of(LossType::Vespo);
    let w = 0.5f32.exp();
    let phi = |k: f32, lambda: f32| (lambda + k * 0.5 - lambda * w).exp();
    close(one(2.0, &settings), phi(2.0, 3.0) * 2.0);
    close(one(-2.0, &settings), -phi(3.0, 2.0) * 2.0);
}

#[test]
fn a_sequence_s_ratio_is_the_geometric_mean_of_its_tokens() {
    let (logprobs, old) = (matrix([[-1.0, -2.0, 7.0]]), matrix([[-1.1, -2.2, 0.0]]));
    let (advantages, mask) = (list(&[1.0]), matrix([[1.0, 1.0, 0.0]]));
    let inputs = LossInputs {
        old_logprobs: Some(&old),
        ..LossInputs::new(&logprobs, &advantages, &mask)
    };
    let settings = LossSettings {
        importance_sampling_level: Ratio::Sequence,
        ..LossSettings::default()
    };
    close(value(&inputs, &settings), -(0.15f32.exp()));
}

#[test]
fn the_divergence_is_k3_and_is_added() {
    let batch = Batch::new();
    let with = |beta: f32| LossSettings {
        beta,
        ..LossSettings::default()
    };
    let (plain, held) = (
        value(&batch.inputs(), &with(0.0)),
        value(&batch.inputs(), &with(0.5)),
    );
    let kl = metric(&batch.inputs(), &with(0.5), "kl");
    close(held, plain + 0.5 * kl);
    let differences = [
        -0.2f32, 0.1, -0.05, -0.3, 0.4, 0.3, -0.15, -0.4, -0.6, 0.2, 0.05, -0.1,
    ];
    let k3: f32 = differences.iter().map(|d| d.exp() - d - 1.0).sum();
    close(kl, k3 / 12.0);
}

#[test]
fn the_divergence_from_oneself_is_zero_and_never_negative() {
    let batch = Batch::new();
    let settings = LossSettings {
        beta: 1.0,
        ..LossSettings::default()
    };
    let same = LossInputs {
        ref_logprobs: Some(&batch.logprobs),
        ..batch.inputs()
    };
    assert_eq!(metric(&same, &settings, "kl"), 0.0);
    assert!(metric(&batch.inputs(), &settings, "kl") > 0.0);
}

#[test]
fn bias_correction_multiplies_the_divergence_by_the_ratio() {
    let (logprobs, old) = (matrix([[-1.0]]), matrix([[-1.5]]));
    let (reference, mask) = (matrix([[-1.3]]), matrix([[1.0]]));
    let zero = list(&[0.0]);
    let inputs = LossInputs {
        old_logprobs: Some(&old),
        ref_logprobs: Some(&reference),
        ..LossInputs::new(&logprobs, &zero, &mask)
    };
    let settings = LossSettings {
        beta: 2.0,
        use_bias_correction_kl: true,
        ..LossSettings::default()
    };
    let k3 = (-0.3f32).exp() + 0.3 - 1.0;
    close(value(&inputs, &settings), 2.0 * k3 * 0.5f32.exp());
}

#[test]
fn the_importance_ratio_multiplies_the_policy_term_alone() {
    let batch = Batch::new();
    let ratio = list(&[2.0, 2.0, 2.0]);
    let inputs = LossInputs {
        importance_ratio: Some(&ratio),
        ..batch.inputs()
    };
    let plain = value(&batch.inputs(), &LossSettings::default());
    close(value(&inputs, &LossSettings::default()), 2.0 * plain);
    let held = LossSettings {
        beta: 0.5,
        ..LossSettings::default()
    };
    let kl = metric(&inputs, &held, "kl");
    close(value(&inputs, &held), 2.0 * plain + 0.5 * kl);
}

#[test]
fn an_importance_ratio_has_one_of_three_shapes() {
    let batch = Batch::new();
    let run = |ratio: &Array| {
        let inputs = LossInputs {
            importance_ratio: Some(ratio),
            ..batch.inputs()
        };
        loss(&inputs, &LossSettings::default()).map(|(value, _)| item(&value).unwrap())
    };
    let of_rows = run(&list(&[0.5, 2.0, 1.5])).unwrap();
    close(run(&matrix([[0.5], [2.0], [1.5]])).unwrap(), of_rows);
    let of_tokens = matrix([[0.5; 5], [2.0; 5], [1.5; 5]]);
    close(run(&of_tokens).unwrap(), of_rows);
    let error = message(run(&list(&[1.0, 1.0])));
    assert!(error.contains("importance_ratio"), "{error}");
}

/// TRL's own numbers: rows 1 to 3 have a distance of 2, 0.5 and 2, and the bound is 1.
#[test]
fn bad_sequences_that_the_policy_has_left_are_dropped() {
    let logprobs = matrix([[-2.0, -2.0], [-0.5, -0.5], [-2.0, -2.0]]);
    let sampler = matrix([[0.0, 1e4], [0.0, -1e4], [0.0, 1e4]]);
    let (advantages, mask) = (list(&[1.0, -1.0, -1.0]), matrix([[1.0, 0.0]; 3]));
    let inputs = LossInputs {
        sampling_logprobs: Some(&sampler),
        ..LossInputs::new(&logprobs, &advantages, &mask)
    };
    let settings = LossSettings {
        off_policy_mask_threshold: Some(1.0),
        ..of(LossType::Grpo)
    };
    assert_eq!(
        gradient(&inputs, &settings),
        [-1.0 / 3.0, 0.0, 1.0 / 3.0, 0.0, 0.0, 0.0]
    );
}

#[test]
fn a_token_that_the_sampler_did_not_score_is_no_evidence() {
    let batch = Batch::new();
    let nan = f32::NAN;
    let sampler = matrix([[nan; 5], [nan; 5], [nan; 5]]);
    let inputs = LossInputs {
        sampling_logprobs: Some(&sampler),
        ..batch.inputs()
    };
    let settings = LossSettings {
        off_policy_mask_threshold: Some(0.0),
        ..LossSettings::default()
    };
    let plain = value(&batch.inputs(), &LossSettings::default());
    close(value(&inputs, &settings), plain);
}

#[test]
fn on_policy_nothing_is_dropped_or_clipped() {
    let batch = Batch::new();
    let settings = LossSettings {
        off_policy_mask_threshold: Some(0.0),
        ..LossSettings::default()
    };
    let plain = value(&batch.on_policy(), &LossSettings::default());
    assert_eq!(value(&batch.on_policy(), &settings), plain);
    for name in [
        "low_mean",
        "low_min",
        "high_mean",
        "high_max",
        "region_mean",
    ] {
        let name = format!("clip_ratio/{name}");
        assert_eq!(metric(&batch.on_policy(), &settings, &name), 0.0, "{name}");
    }
}

#[test]
fn clip_ratios_count_tokens_by_sign() {
    let batch = Batch::new();
    let get = |name: &str| metric(&batch.inputs(), &LossSettings::default(), name);
    // Row 0 (A > 0) is above 1.2 at three of five tokens, row 2 at one of four; row 1 (A < 0) is
    // below 0.8 at two of three.
    close(get("clip_ratio/high_mean"), 4.0 / 12.0);
    close(get("clip_ratio/low_mean"), 2.0 / 12.0);
    close(get("clip_ratio/region_mean"), 6.0 / 12.0);
    close(get("clip_ratio/high_max"), 3.0 / 5.0);
    close(get("clip_ratio/low_min"), 0.0);
}

#[test]
fn the_bonus_takes_the_mean_entropy_from_the_loss() {
    let batch = Batch::new();
    let settings = LossSettings {
        entropy_coef: 0.1,
        ..LossSettings::default()
    };
    let plain = value(&batch.inputs(), &LossSettings::default());
    let mean = (0.1 + 2.0 + 0.3 + 1.4 + 0.5 + 0.7 + 0.2 + 0.9 + 1.1 + 1.2 + 0.15 + 0.6) / 12.0;
    close(value(&batch.inputs(), &settings), plain - 0.1 * mean);
    close(metric(&batch.inputs(), &settings, "entropy"), mean);
    close(metric(&batch.inputs(), &settings, "policy_loss"), plain);
}

#[test]
fn the_entropy_mask_lets_the_highest_tokens_act() {
    let batch = Batch::new();
    let settings = LossSettings {
        top_entropy_quantile: 0.25,
        ..LossSettings::default()
    };
    let inputs = LossInputs {
        entropies: Some(&batch.entropies),
        ..batch.on_policy()
    };
    // The quantile 0.75 of twelve lies above the ninth, 1.1; 1.2, 1.4 and 2 are left.
    let mut expected = [0.0; 15];
    expected[1] = -1.2 / 12.0;
    expected[3] = -1.2 / 12.0;
    expected[11] = -0.5 / 12.0;
    all_close(&gradient(&inputs, &settings), &expected);
}

#[test]
fn what_a_setting_needs_is_asked_for() {
    let batch = Batch::new();
    let held = LossSettings {
        beta: 0.1,
        ..LossSettings::default()
    };
    let error = message(loss(&batch.on_policy(), &held));
    assert!(error.contains("ref_logprobs"), "{error}");
    for settings in [
        LossSettings {
            top_entropy_quantile: 0.2,
            ..LossSettings::default()
        },
        LossSettings {
            entropy_coef: 0.1,
            ..LossSettings::default()
        },
    ] {
        let error = message(loss(&batch.on_policy(), &settings));
        assert!(error.contains("entropies"), "{error}");
    }
}

#[test]
fn settings_out_of_range_are_named() {
    type Change = fn(&mut LossSettings);
    let wrong: [(&str, Change); 12] = [
        ("epsilon", |s| s.epsilon = -0.1),
        ("epsilon", |s| s.epsilon = f32::NAN),
        ("epsilon_high", |s| s.epsilon_high = Some(-1.0)),
        ("delta", |s| s.delta = Some(f32::INFINITY)),
        ("beta", |s| s.beta = -1.0),
        ("top_entropy_quantile", |s| s.top_entropy_quantile = 1.1),
        ("top_entropy_quantile", |s| s.top_entropy_quantile = -0.1),
        ("sapo_temperature_pos", |s| s.sapo_temperature_pos = 0.0),
        ("sapo_temperature_neg", |s| s.sapo_temperature_neg = -1.0),
        ("vespo_k_neg", |s| s.vespo_k_neg = -1.0),
        ("off_policy_mask_threshold", |s| {
            s.off_policy_mask_threshold = Some(-1.0);
        }),
        ("entropy_coef", |s| s.entropy_coef = -0.1),
    ];
    for (name, change) in wrong {
        let mut settings = LossSettings::default();
        change(&mut settings);
        let error = message(settings.check());
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
    assert!(LossSettings::default().check().is_ok());
}

#[test]
fn misfits_are_errors() {
    let batch = Batch::new();
    let (narrow, two) = (matrix([[1.0; 4]; 3]), list(&[1.0, 1.0]));
    let settings = LossSettings::default();
    let mask = LossInputs::new(&batch.logprobs, &batch.advantages, &narrow);
    assert!(message(loss(&mask, &settings)).contains("mask"));
    let rows = LossInputs::new(&batch.logprobs, &two, &batch.mask);
    assert!(message(loss(&rows, &settings)).contains("advantages"));
    let share = LossInputs {
        gradient_accumulation_steps: 0.0,
        ..batch.on_policy()
    };
    let error = message(loss(&share, &settings));
    assert!(error.contains("gradient_accumulation_steps"), "{error}");
    assert!(message(LossType::named("ppo")).contains("vespo"));
    assert!(message(Ratio::named("row")).contains("sequence"));
}
