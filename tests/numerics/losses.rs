//! Policy losses against those of TRL; `tests/vectors/README.md` says how they were made.

use crate::support::{array, fixture};
use mlx_repl::mlx::{Array, autograd};
use mlx_repl::rl::{LossInputs, LossSettings, LossType, Ratio, loss};
use mlx_repl::tensor::{item, to_f32};
use serde_json::Value;

fn settings(given: &Value) -> LossSettings {
    let mut s = LossSettings::default();
    for (key, value) in given.as_object().unwrap() {
        let number = value.as_f64().unwrap_or(f64::NAN) as f32;
        match key.as_str() {
            "loss_type" => s.loss_type = LossType::named(value.as_str().unwrap()).unwrap(),
            "importance_sampling_level" => {
                s.importance_sampling_level = Ratio::named(value.as_str().unwrap()).unwrap();
            }
            "use_bias_correction_kl" => s.use_bias_correction_kl = value.as_bool().unwrap(),
            "epsilon" => s.epsilon = number,
            "epsilon_high" => s.epsilon_high = Some(number),
            "delta" => s.delta = Some(number),
            "beta" => s.beta = number,
            "top_entropy_quantile" => s.top_entropy_quantile = number,
            "sapo_temperature_pos" => s.sapo_temperature_pos = number,
            "sapo_temperature_neg" => s.sapo_temperature_neg = number,
            "vespo_k_pos" => s.vespo_k_pos = number,
            "vespo_lambda_pos" => s.vespo_lambda_pos = number,
            "vespo_k_neg" => s.vespo_k_neg = number,
            "vespo_lambda_neg" => s.vespo_lambda_neg = number,
            "off_policy_mask_threshold" => s.off_policy_mask_threshold = Some(number),
            "entropy_coef" => s.entropy_coef = number,
            other => panic!("a setting of the fixture that nobody knows: {other}"),
        }
    }
    s
}

/// Arrays of one case.
struct Case<'a> {
    name: &'a str,
    value: &'a Value,
    batch: &'a Value,
    settings: LossSettings,
}

impl<'a> Case<'a> {
    fn new(all: &'a Value, value: &'a Value) -> Self {
        Self {
            name: value["name"].as_str().unwrap(),
            value,
            batch: &all["batches"][value["batch"].as_str().unwrap()],
            settings: settings(&value["settings"]),
        }
    }

    fn array(&self, key: &str) -> Array {
        array(&self.batch[key])
    }

    /// The array of a key, if the case hands it over.
    fn used(&self, key: &str) -> Option<Array> {
        let uses = self.value["uses"].as_array().unwrap();
        uses.iter().any(|used| used == key).then(|| self.array(key))
    }

    fn number(&self, key: &str) -> f32 {
        self.value[key].as_f64().unwrap() as f32
    }

    /// The loss at log-probabilities and entropies, and the metrics.
    fn run(
        &self,
        logprobs: &Array,
        entropies: &Array,
    ) -> mlx_repl::Result<(Array, Vec<(String, Array)>)> {
        let mask = match self.value.get("mask") {
            Some(mask) => array(mask),
            None => self.array("mask"),
        };
        let of_tokens = self.used("token_advantages");
        let advantages = of_tokens.unwrap_or_else(|| self.array("advantages"));
        let (old, reference) = (self.used("old_logprobs"), self.used("ref_logprobs"));
        let sampler = self.used("sampling_logprobs");
        let ratio = self.used("token_ratio").or(self.used("row_ratio"));
        let with_entropies = self.used("entropies").is_some();
        let inputs = LossInputs {
            old_logprobs: old.as_ref(),
            ref_logprobs: reference.as_ref(),
            sampling_logprobs: sampler.as_ref(),
            entropies: with_entropies.then_some(entropies),
            importance_ratio: ratio.as_ref(),
            num_items_in_batch: Some(self.number("num_items_in_batch")),
            max_completion_length: self.batch["max_completion_length"]
                .as_f64()
                .map(|n| n as i32),
            gradient_accumulation_steps: self.number("gradient_accumulation_steps"),
            ..LossInputs::new(logprobs, &advantages, &mask)
        };
        loss::loss(&inputs, &self.settings)
    }

    /// Values that may be off by 1e-5 of the largest of them, or of 1.
    #[track_caller]
    fn compare(&self, what: &str, got: &Array, expected: &Value) {
        let (got, expected) = (to_f32(got).unwrap(), to_f32(&array(expected)).unwrap());
        assert_eq!(got.len(), expected.len(), "{}: {what}", self.name);
        let largest = expected.iter().fold(1.0f32, |most, x| most.max(x.abs()));
        for (i, (a, b)) in got.iter().zip(&expected).enumerate() {
            let off = (a - b).abs();
            assert!(
                off <= 1e-5 * largest,
                "{}: {what} {i}: {a}, not {b}",
                self.name
            );
        }
    }
}

#[test]
fn losses_their_gradients_and_metrics_are_those_of_trl() {
    let all = fixture("grpo.json");
    let cases = all["cases"].as_array().unwrap();
    for value in cases {
        let case = Case::new(&all, value);
        let logprobs = case.array("logprobs");
        let entropies = case.used("entropies").unwrap_or_else(|| logprobs.clone());
        let f = |a: &[Array]| Ok(vec![case.run(&a[0], &a[1])?.0]);
        let leaves = [logprobs.clone(), entropies.clone()];
        let (values, grads) = autograd::value_and_grad(f, &leaves).unwrap();
        case.compare("loss", &values[0], &value["loss"]);
        case.compare("gradient by logprobs", &grads[0], &value["grad"]);
        if case.settings.entropy_coef > 0.0 {
            let expected = &value["grad_entropies"];
            case.compare("gradient by entropies", &grads[1], expected);
        }
        let (_, watched) = case.run(&logprobs, &entropies).unwrap();
        let expected = value["metrics"].as_object().unwrap();
        let mut names: Vec<&str> = watched.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let mut known: Vec<&str> = expected.keys().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(names, known, "{}", case.name);
        for (name, got) in &watched {
            case.compare(name, got, &expected[name]);
        }
    }
    assert!(cases.len() >= 230, "{} cases", cases.len());
}

/// What TRL computes at log-ratios of 80 stays finite here too, although exp(80)^2 leaves f32.
#[test]
fn extremes_are_finite_in_every_type_and_setting() {
    let all = fixture("grpo.json");
    let extreme = |value: &&Value| value["batch"] == "extreme";
    let mut checked = 0;
    for value in all["cases"].as_array().unwrap().iter().filter(extreme) {
        let mut case = Case::new(&all, value);
        case.settings.use_bias_correction_kl = true;
        case.settings.beta = if value["uses"].as_array().unwrap().len() > 1 {
            0.1
        } else {
            0.0
        };
        let logprobs = case.array("logprobs");
        let f = |a: &[Array]| Ok(vec![case.run(&a[0], &a[0])?.0]);
        let (values, grads) = autograd::value_and_grad(f, &[logprobs]).unwrap();
        assert!(item(&values[0]).unwrap().is_finite(), "{}", case.name);
        let finite = to_f32(&grads[0]).unwrap().iter().all(|g| g.is_finite());
        assert!(finite, "{}", case.name);
        checked += 1;
    }
    assert_eq!(checked, 16);
}
