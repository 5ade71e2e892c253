use super::*;

fn rows(values: &[f64]) -> Vec<Vec<Option<f64>>> {
    values.iter().map(|v| vec![Some(*v)]).collect()
}

#[test]
fn groups_are_normalised_apart() {
    let rewards = rows(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    let got = advantages(&rewards, 4, &AdvantageSettings::default()).unwrap();
    // From TRL 1.16.
    for (a, b) in got.iter().zip([1.0, -1.0, -1.0, 1.0]) {
        assert!((a - b * 0.865_875_43).abs() < 1e-8);
    }
    assert_eq!(got[4..], [0.0; 4]);
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
    let two = AdvantageSettings {
        reward_weights: vec![1.0, 2.0],
        ..settings
    };
    assert!(advantages(&rows(&[1.0, 2.0]), 2, &two).is_err());
}
