//! Published methods as settings of the trainer.

use crate::error::{Error, Result};
use serde_json::{Value, json};

/// The name of a method, and its settings of `rl::grpo`.
type Preset = (&'static str, fn() -> Value);

/// What a method is, and no more: learning rates, lengths and numbers of completions belong to a
/// model and a machine, and stay as they are. Every preset says its objective, its scale and its
/// `beta`, so that it does not depend on defaults.
const PRESETS: [Preset; 11] = [
    // DeepSeekMath, <https://arxiv.org/abs/2402.03300>: mean over each sequence, deviation of the
    // group, KL to the reference in the loss at 0.04.
    ("grpo", || {
        json!({
            "loss_type": "grpo", "epsilon": 0.2, "beta": 0.04, "scale_rewards": "group",
        })
    }),
    // <https://arxiv.org/abs/2503.20783>: neither lengths nor deviations, and no KL.
    ("dr_grpo", || {
        json!({
            "loss_type": "dr_grpo", "epsilon": 0.2, "beta": 0.0, "scale_rewards": "none",
        })
    }),
    // <https://arxiv.org/abs/2503.14476>: the upper edge is raised, groups without a difference are
    // drawn anew, truncated completions do not count. Its soft punishment of length is set apart,
    // `overlong_buffer` of a fifth of `max_completion_length` (4096 of 20480 there).
    ("dapo", || {
        json!({
            "loss_type": "dapo", "epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.0,
            "scale_rewards": "group", "dynamic_sampling": true, "mask_truncated_completions": true,
        })
    }),
    // <https://arxiv.org/abs/2507.18071>: ratios of sequences move little, so the clip is narrow.
    ("gspo", || {
        json!({
            "loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon": 3e-4,
            "epsilon_high": 4e-4, "beta": 0.0, "scale_rewards": "group",
        })
    }),
    // MiniMax-M1, <https://arxiv.org/abs/2506.13585>, in the form that ScaleRL chose,
    // <https://arxiv.org/abs/2510.13786>: ratios up to 5, the deviation of the batch.
    ("cispo", || {
        json!({
            "loss_type": "cispo", "epsilon_high": 5.0, "beta": 0.0, "scale_rewards": "batch",
        })
    }),
    // <https://arxiv.org/abs/2511.20347>: the gate closes faster where the advantage is negative.
    ("sapo", || {
        json!({
            "loss_type": "sapo", "sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.05,
            "beta": 0.0, "scale_rewards": "group",
        })
    }),
    // <https://arxiv.org/abs/2602.05261>: GSPO, summed over each sequence.
    ("luspo", || {
        json!({
            "loss_type": "luspo", "importance_sampling_level": "sequence", "epsilon": 2e-3,
            "epsilon_high": 2.5e-3, "beta": 0.0, "scale_rewards": "group",
        })
    }),
    // <https://arxiv.org/abs/2602.10693>
    ("vespo", || {
        json!({
            "loss_type": "vespo", "vespo_k_pos": 2.0, "vespo_lambda_pos": 3.0, "vespo_k_neg": 3.0,
            "vespo_lambda_neg": 2.0, "beta": 0.0, "scale_rewards": "group",
        })
    }),
    // <https://arxiv.org/abs/2402.14740>: REINFORCE with the mean of the others as the baseline,
    // undivided by lengths. The KL is in the loss and not in the reward; its weight and the clip, which
    // is idle in the first update, are those of TRL's RLOOConfig.
    ("rloo", || {
        json!({
            "loss_type": "luspo", "epsilon": 0.2, "beta": 0.05, "scale_rewards": "none",
            "baseline": "leave_one_out",
        })
    }),
    // <https://arxiv.org/abs/2508.08221>: mean of the group, deviation of the batch, mean over tokens.
    ("lite_ppo", || {
        json!({
            "loss_type": "dapo", "epsilon": 0.2, "beta": 0.0, "scale_rewards": "batch",
        })
    }),
    // TRL's loss of this name, its first normaliser: the tokens of the micro-batch. (Not the method of
    // <https://arxiv.org/abs/2506.02864>, which has the same letters.)
    ("bnpo", || {
        json!({
            "loss_type": "bnpo", "epsilon": 0.2, "beta": 0.0, "scale_rewards": "group",
        })
    }),
];

/// The names of [`preset`].
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The settings of a published method: an object with keys of `rl::grpo`.
///
/// # Errors
/// An unknown name; the error lists the known ones.
pub fn preset(name: &str) -> Result<Value> {
    let found = PRESETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, settings)| settings()).ok_or_else(|| {
        let names: Vec<&str> = preset_names().collect();
        Error::value("preset", name, &names.join(", "))
    })
}
