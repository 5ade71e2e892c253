//! The keys of `config.json` that say how the rotary embedding is stretched.

use crate::error::{Error, Result};
use crate::nn::Scaling;
use serde_json::{Map, Value};

/// The scaling in `rope_parameters` (transformers 5) or `rope_scaling` (before).
///
/// # Errors
/// A kind that is not known, or one that lacks a number.
pub(super) fn scaling(keys: &Map<String, Value>, max_positions: i32) -> Result<Scaling> {
    let given = |key: &str| keys.get(key).filter(|value| !value.is_null());
    let Some(value) = given("rope_scaling").or(given("rope_parameters")) else {
        return Ok(Scaling::Default);
    };
    let numbers = Numbers(value);
    let kind = value.get("rope_type").or(value.get("type"));
    if value.get("partial_rotary_factor").and_then(Value::as_f64) != Some(1.0)
        && value.get("partial_rotary_factor").is_some()
    {
        let found = &value["partial_rotary_factor"];
        return Err(Error::setting("partial_rotary_factor", found, "1"));
    }
    match kind.map_or(Some("default"), Value::as_str) {
        Some("default") => Ok(Scaling::Default),
        Some("linear") => Ok(Scaling::Linear {
            factor: numbers.factor()?,
        }),
        Some("llama3") => Ok(Scaling::Llama3 {
            factor: numbers.factor()?,
            low_freq_factor: numbers.needed("low_freq_factor")?,
            high_freq_factor: numbers.needed("high_freq_factor")?,
            original_max_position_embeddings: numbers.needed("original_max_position_embeddings")?,
        }),
        Some("yarn") => yarn(&numbers, max_positions),
        _ => Err(Error::Unsupported(format!(
            "rotary embeddings of rope_type {} are not supported; these are: default, linear, \
             llama3, yarn",
            kind.unwrap_or(&Value::Null)
        ))),
    }
}

/// As transformers 5 reads them. mlx-lm knows no `attention_factor` and takes 4096 for the
/// trained length where it is not given.
fn yarn(numbers: &Numbers, max_positions: i32) -> Result<Scaling> {
    let factor = numbers.factor()?;
    let growth = |mscale: f64| match factor <= 1.0 {
        true => 1.0,
        false => 0.1 * mscale * factor.ln() + 1.0,
    };
    let scales = [numbers.get("mscale"), numbers.get("mscale_all_dim")];
    let own = match scales {
        [Some(top), Some(bottom)] if top != 0.0 && bottom != 0.0 => growth(top) / growth(bottom),
        _ => growth(1.0),
    };
    let trained = numbers.get("original_max_position_embeddings");
    let truncate = numbers.0.get("truncate").and_then(Value::as_bool);
    Ok(Scaling::Yarn {
        factor,
        original_max_position_embeddings: trained.unwrap_or(f64::from(max_positions)),
        // 0 is the same as nothing there.
        beta_fast: numbers
            .get("beta_fast")
            .filter(|b| *b > 0.0)
            .unwrap_or(32.0),
        beta_slow: numbers.get("beta_slow").filter(|b| *b > 0.0).unwrap_or(1.0),
        attention_factor: numbers.get("attention_factor").unwrap_or(own),
        truncate: truncate.unwrap_or(true),
    })
}

/// The object that holds the numbers.
struct Numbers<'a>(&'a Value);

impl Numbers<'_> {
    fn get(&self, key: &str) -> Option<f64> {
        self.0.get(key).and_then(Value::as_f64)
    }

    fn needed(&self, key: &str) -> Result<f64> {
        match self.get(key) {
            Some(number) if number > 0.0 => Ok(number),
            Some(number) => Err(Error::setting(key, number, "a positive number")),
            None => {
                let found = self.0.get(key).unwrap_or(&Value::Null);
                Err(Error::setting(key, found, "a number, for this rope_type"))
            }
        }
    }

    fn factor(&self) -> Result<f64> {
        self.needed("factor")
    }
}
