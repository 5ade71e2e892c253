//! The keys of `config.json` that say which layers are in few bits, as mlx-lm writes them.

use crate::error::{Error, Result};
use crate::mlx::quantized::Format;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// mlx-lm writes both, the second for the hub.
const KEYS: [&str; 2] = ["quantization", "quantization_config"];

/// The formats of MLX.
const MODES: [&str; 4] = ["affine", "mxfp4", "mxfp8", "nvfp4"];

/// A format for all layers, and for some of them one of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    pub format: Format,
    /// By path (`model.layers.0.self_attn.v_proj`); `None` is a layer that stays whole.
    pub layers: BTreeMap<String, Option<Format>>,
}

impl Quantization {
    /// One format for all layers.
    pub fn uniform(format: Format) -> Self {
        Self {
            format,
            layers: BTreeMap::new(),
        }
    }

    /// What a configuration says, if it says anything.
    ///
    /// # Errors
    /// A format of another library than MLX.
    pub(super) fn read(keys: &Map<String, Value>) -> Result<Option<Self>> {
        let given = |key: &&str| keys.get(*key).filter(|value| !value.is_null());
        let Some(value) = KEYS.iter().find_map(given) else {
            return Ok(None);
        };
        if let Some(method) = value.get("quant_method") {
            return Err(Error::Unsupported(format!(
                "weights quantised by {method} are not supported; take the unquantised \
                 checkpoint, or one that MLX quantised"
            )));
        }
        let Some(format) = format(value)? else {
            let expected = "an object with `group_size` and `bits`, as MLX writes it";
            return Err(Error::setting(KEYS[0], value, expected));
        };
        let mut layers = BTreeMap::new();
        for (path, value) in value.as_object().into_iter().flatten() {
            if value.as_bool() == Some(false) {
                layers.insert(path.clone(), None);
            } else if value.is_object() {
                layers.insert(path.clone(), self::format(value)?);
            }
        }
        Ok(Some(Self { format, layers }))
    }

    /// The format of a layer.
    pub fn format_of(&self, path: &str) -> Option<&Format> {
        match self.layers.get(path) {
            Some(own) => own.as_ref(),
            None => Some(&self.format),
        }
    }

    /// Puts it into a configuration, or removes what was there.
    pub(super) fn write(quantization: Option<&Self>, keys: &mut Map<String, Value>) {
        for key in KEYS {
            match quantization {
                Some(quantization) => keys.insert(key.into(), quantization.to_json()),
                None => keys.remove(key),
            };
        }
    }

    fn to_json(&self) -> Value {
        let mut json = format_json(&self.format);
        for (path, format) in &self.layers {
            json[path] = format.as_ref().map_or(false.into(), format_json);
        }
        json
    }
}

fn format(value: &Value) -> Result<Option<Format>> {
    let number = |key: &str| value.get(key).and_then(Value::as_i64);
    let (Some(group_size), Some(bits)) = (number("group_size"), number("bits")) else {
        return Ok(None);
    };
    check(group_size, bits)?;
    let mode = value.get("mode").and_then(Value::as_str);
    if let Some(mode) = mode.filter(|mode| !MODES.contains(mode)) {
        return Err(Error::setting("mode", mode, &MODES.join(", ")));
    }
    let sizes = (Some(group_size as i32), Some(bits as i32));
    Ok(Some(Format::new(
        mode.unwrap_or("affine"),
        sizes.0,
        sizes.1,
    )))
}

/// An error for sizes that no format has.
pub(super) fn check(group_size: i64, bits: i64) -> Result<()> {
    if ![2, 3, 4, 5, 6, 8].contains(&bits) {
        return Err(Error::setting("bits", bits, "2, 3, 4, 5, 6 or 8"));
    }
    if ![16, 32, 64, 128].contains(&group_size) {
        let expected = "32, 64 or 128 (16 for nvfp4)";
        return Err(Error::setting("group_size", group_size, expected));
    }
    Ok(())
}

fn format_json(format: &Format) -> Value {
    json!({ "group_size": format.group_size, "bits": format.bits, "mode": format.mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_may_have_a_format_of_their_own() {
        let json = json!({ "quantization": {
            "group_size": 32, "bits": 4,
            "lm_head": { "group_size": 64, "bits": 6 }, "model.embed_tokens": false,
        }});
        let keys = json.as_object().unwrap();
        let read = Quantization::read(keys).unwrap().unwrap();
        assert_eq!(read.format_of("lm_head").unwrap().bits, 6);
        assert_eq!(read.format_of("model.embed_tokens"), None);
        assert_eq!(
            read.format_of("model.layers.0.mlp.up_proj").unwrap().bits,
            4
        );
        let mut written = Map::new();
        Quantization::write(Some(&read), &mut written);
        assert_eq!(Quantization::read(&written).unwrap(), Some(read));
        assert_eq!(written[KEYS[0]], written[KEYS[1]]);
    }

    #[test]
    fn other_libraries_are_named() {
        let json = json!({ "quantization_config": { "quant_method": "awq", "bits": 4 } });
        let error = Quantization::read(json.as_object().unwrap()).unwrap_err();
        assert!(error.to_string().contains("awq"), "{error}");
        let json = json!({ "quantization": { "bits": 9, "group_size": 64 } });
        assert!(Quantization::read(json.as_object().unwrap()).is_err());
    }
}
