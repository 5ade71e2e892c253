//! What a policy loss can be told, under TRL's names.

use crate::error::{Error, Result};
use serde::Serialize;

/// The objective of a token, and how token losses become one number.
///
/// `r` is the probability ratio, `A` the advantage, `sg` stops gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossType {
    /// `-min(r A, clip(r) A)`, averaged over each sequence, then over sequences
    /// (<https://arxiv.org/abs/2402.03300>).
    Grpo,
    /// The same, summed over all tokens and divided by the tokens of the whole step
    /// (<https://arxiv.org/abs/2503.14476>).
    #[default]
    Dapo,
    /// The same, summed over all tokens and divided by rows times the longest allowed completion
    /// (<https://arxiv.org/abs/2503.20783>).
    DrGrpo,
    /// The same, averaged over the tokens of the micro-batch.
    Bnpo,
    /// `-sg(min(r, epsilon_high)) A log p`, divided as `Dapo` (<https://arxiv.org/abs/2506.13585>).
    Cispo,
    /// `-(4 / tau) sigmoid(tau (r - 1)) A`: a soft gate in place of the clip, averaged as `Grpo`
    /// (<https://arxiv.org/abs/2511.20347>).
    Sapo,
    /// As `Grpo`, summed over each sequence and averaged over sequences, so that long ones are not
    /// held back (<https://arxiv.org/abs/2602.05261>).
    Luspo,
    /// `-sg(phi(w)) A log p` with `phi(w) = exp(lambda) w^k exp(-lambda w)` of the product `w` of a
    /// sequence's ratios, divided as `Dapo` (<https://arxiv.org/abs/2602.10693>).
    Vespo,
}

impl LossType {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Grpo,
        Self::Dapo,
        Self::DrGrpo,
        Self::Bnpo,
        Self::Cispo,
        Self::Sapo,
        Self::Luspo,
        Self::Vespo,
    ];

    /// The type of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        let expected = "grpo, dapo, dr_grpo, bnpo, cispo, sapo, luspo or vespo";
        known.ok_or_else(|| Error::setting("loss_type", name, expected))
    }

    /// The name in settings and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpo => "grpo",
            Self::Dapo => "dapo",
            Self::DrGrpo => "dr_grpo",
            Self::Bnpo => "bnpo",
            Self::Cispo => "cispo",
            Self::Sapo => "sapo",
            Self::Luspo => "luspo",
            Self::Vespo => "vespo",
        }
    }

    /// Whether it divides by the tokens of the call, so that a micro-batch weighs what its tokens are
    /// of the step's.
    pub fn is_by_local_tokens(self) -> bool {
        self == Self::Bnpo
    }
}

/// What the probability ratio is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ratio {
    #[default]
    Token,
    /// The geometric mean over the sequence (GSPO, <https://arxiv.org/abs/2507.18071>).
    Sequence,
}

impl Ratio {
    /// The level of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "token" => Ok(Self::Token),
            "sequence" => Ok(Self::Sequence),
            other => Err(Error::setting(
                "importance_sampling_level",
                other,
                "token or sequence",
            )),
        }
    }
}

/// Settings, under TRL's names and with its defaults.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LossSettings {
    pub loss_type: LossType,
    /// `vespo` does not ask: its ratio is that of the whole sequence.
    pub importance_sampling_level: Ratio,
    pub epsilon: f32,
    /// `None` is `epsilon`, and for `cispo` 5: there it is the largest ratio itself, not its distance
    /// from 1. ScaleRL (<https://arxiv.org/abs/2510.13786>) uses 5. TRL falls back on 0.2 there,
    /// which would cut every ratio of a policy that has hardly moved.
    pub epsilon_high: Option<f32>,
    /// Upper bound of the unclipped ratio, for two-sided clipping
    /// (<https://arxiv.org/abs/2505.07291>).
    pub delta: Option<f32>,
    /// Weight of the divergence from the reference model; 0 needs no reference.
    pub beta: f32,
    /// Multiplies the divergence by the ratio, which makes its estimate unbiased off-policy
    /// (<https://arxiv.org/abs/2512.02556>).
    pub use_bias_correction_kl: bool,
    /// The share of the tokens, those of highest entropy, that the policy term acts on
    /// (<https://arxiv.org/abs/2506.01939>); 1 is all.
    pub top_entropy_quantile: f32,
    /// `tau` of `sapo` where the advantage is above 0.
    pub sapo_temperature_pos: f32,
    /// `tau` of `sapo` elsewhere.
    pub sapo_temperature_neg: f32,
    /// `k` of `vespo` where the advantage is at least 0.
    pub vespo_k_pos: f32,
    pub vespo_lambda_pos: f32,
    pub vespo_k_neg: f32,
    pub vespo_lambda_neg: f32,
    /// Sequences of negative advantage are dropped when the mean of `log sampler - log policy` over
    /// their tokens is above this, in nats (<https://arxiv.org/abs/2512.02556>).
    pub off_policy_mask_threshold: Option<f32>,
    /// The weight of the mean entropy, which is taken from the loss.
    pub entropy_coef: f32,
}

impl Default for LossSettings {
    fn default() -> Self {
        Self {
            loss_type: LossType::default(),
            importance_sampling_level: Ratio::default(),
            epsilon: 0.2,
            epsilon_high: None,
            delta: None,
            beta: 0.0,
            use_bias_correction_kl: false,
            top_entropy_quantile: 1.0,
            sapo_temperature_pos: 1.0,
            sapo_temperature_neg: 1.05,
            vespo_k_pos: 2.0,
            vespo_lambda_pos: 3.0,
            vespo_k_neg: 3.0,
            vespo_lambda_neg: 2.0,
            off_policy_mask_threshold: None,
            entropy_coef: 0.0,
        }
    }
}

/// The largest ratio of `cispo` that counts if nothing is said.
const CISPO_LARGEST_RATIO: f32 = 5.0;

impl LossSettings {
    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        let from_zero = [
            ("epsilon", Some(self.epsilon)),
            ("epsilon_high", self.epsilon_high),
            ("delta", self.delta),
            ("beta", Some(self.beta)),
            ("vespo_k_pos", Some(self.vespo_k_pos)),
            ("vespo_lambda_pos", Some(self.vespo_lambda_pos)),
            ("vespo_k_neg", Some(self.vespo_k_neg)),
            ("vespo_lambda_neg", Some(self.vespo_lambda_neg)),
            ("off_policy_mask_threshold", self.off_policy_mask_threshold),
            ("entropy_coef", Some(self.entropy_coef)),
        ];
        for (name, value) in from_zero {
            if let Some(value) = value.filter(|v| !(*v >= 0.0 && v.is_finite())) {
                return Err(Error::setting(name, value, "0 or a positive number"));
            }
        }
        let share = self.top_entropy_quantile;
        if !(0.0..=1.0).contains(&share) {
            let expected = "a share from 0 to 1; 1 is all tokens";
            return Err(Error::setting("top_entropy_quantile", share, expected));
        }
        let temperatures = [
            ("sapo_temperature_pos", self.sapo_temperature_pos),
            ("sapo_temperature_neg", self.sapo_temperature_neg),
        ];
        for (name, value) in temperatures {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::setting(name, value, "a positive number"));
            }
        }
        Ok(())
    }

    /// The upper edge of the ratio.
    pub(super) fn high(&self) -> f32 {
        match self.loss_type {
            LossType::Cispo => self.epsilon_high.unwrap_or(CISPO_LARGEST_RATIO),
            _ => 1.0 + self.epsilon_high.unwrap_or(self.epsilon),
        }
    }

    /// Whether the entropies of the tokens are asked for.
    pub fn needs_entropies(&self) -> bool {
        self.top_entropy_quantile < 1.0 || self.entropy_coef != 0.0
    }
}
