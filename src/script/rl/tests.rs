use super::*;

/// Settings of `rl::grpo` that presets use and that are neither of the loss nor of advantages.
const OF_THE_TRAINER: [&str; 2] = ["dynamic_sampling", "mask_truncated_completions"];

fn read(name: &str) -> (LossSettings, AdvantageSettings) {
    let map: Map = from_json(&rl::preset(name).unwrap()).cast();
    let mut settings = Settings::new("rl::preset", map);
    let (mut loss, mut advantage) = (LossSettings::default(), AdvantageSettings::default());
    loss_settings(&mut settings, &mut loss).unwrap();
    advantage_settings(&mut settings, &mut advantage).unwrap();
    for key in OF_THE_TRAINER {
        settings.choice(key).unwrap();
    }
    settings.finish().unwrap();
    (loss, advantage)
}

#[test]
fn every_preset_is_read_whole_and_in_range() {
    let mut count = 0;
    for name in rl::preset_names() {
        let (loss, _) = read(name);
        loss.check().unwrap();
        count += 1;
    }
    assert_eq!(count, 11);
}

#[test]
fn presets_have_the_published_numbers() {
    let (gspo, _) = read("gspo");
    assert_eq!(gspo.importance_sampling_level, Ratio::Sequence);
    assert_eq!((gspo.epsilon, gspo.epsilon_high), (3e-4, Some(4e-4)));
    let (dapo, _) = read("dapo");
    assert_eq!((dapo.epsilon, dapo.epsilon_high), (0.2, Some(0.28)));
    let (luspo, _) = read("luspo");
    assert_eq!((luspo.epsilon, luspo.epsilon_high), (2e-3, Some(2.5e-3)));
    let (cispo, advantage) = read("cispo");
    assert_eq!(cispo.epsilon_high, Some(5.0));
    assert_eq!(advantage.scale_rewards, Scale::Batch);
    let (_, rloo) = read("rloo");
    assert_eq!(rloo.baseline, Baseline::LeaveOneOut);
    assert_eq!(rloo.scale_rewards, Scale::None);
    assert_eq!(read("dr_grpo").1.scale_rewards, Scale::None);
    assert_eq!(read("grpo").0.beta, 0.04);
}

#[test]
fn an_unknown_preset_lists_the_known_ones() {
    let error = rl::preset("ppo").unwrap_err().to_string();
    assert!(
        error.contains("dr_grpo") && error.contains("lite_ppo"),
        "{error}"
    );
}

/// Every setting that `rl::loss` documents arrives where it belongs.
#[test]
fn every_loss_setting_is_read() {
    let given = serde_json::json!({
        "loss_type": "vespo", "importance_sampling_level": "sequence", "epsilon": 0.5,
        "epsilon_high": 0.75, "delta": 4, "beta": 0.25, "use_bias_correction_kl": true,
        "top_entropy_quantile": 0.125, "sapo_temperature_pos": 2, "sapo_temperature_neg": 3,
        "vespo_k_pos": 4, "vespo_lambda_pos": 5, "vespo_k_neg": 6, "vespo_lambda_neg": 7,
        "off_policy_mask_threshold": 8, "entropy_coef": 9,
    });
    let mut settings = Settings::new("rl::loss", from_json(&given).cast());
    let mut s = LossSettings::default();
    loss_settings(&mut settings, &mut s).unwrap();
    settings.finish().unwrap();
    assert_eq!(s.loss_type, LossType::Vespo);
    assert_eq!(s.importance_sampling_level, Ratio::Sequence);
    assert!(s.use_bias_correction_kl);
    assert_eq!((s.epsilon_high, s.delta), (Some(0.75), Some(4.0)));
    assert_eq!(s.off_policy_mask_threshold, Some(8.0));
    let numbers = [
        s.epsilon,
        s.beta,
        s.top_entropy_quantile,
        s.sapo_temperature_pos,
        s.sapo_temperature_neg,
        s.vespo_k_pos,
        s.vespo_lambda_pos,
        s.vespo_k_neg,
        s.vespo_lambda_neg,
        s.entropy_coef,
    ];
    let expected = [0.5, 0.25, 0.125, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0];
    assert_eq!(numbers, expected);
}
