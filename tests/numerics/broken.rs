//! Each way in which a checkpoint can be wrong has its own words.

use crate::support::vectors;
use mlx_repl::checkpoint;
use mlx_repl::text::LanguageModel;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of a fixture's folder that may be damaged.
struct Copy {
    dir: tempfile::TempDir,
}

impl Copy {
    fn of(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(vectors().join(name)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = self.file(name);
        let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        fs::write(path, json.to_string()).unwrap();
    }

    /// Changes the arrays of `model.safetensors`.
    fn weights(&self, change: impl FnOnce(&mut Vec<(String, mlx_repl::mlx::Array)>)) {
        let path = self.file("model.safetensors");
        let mut arrays: Vec<_> = checkpoint::read(&path).unwrap().into_iter().collect();
        change(&mut arrays);
        mlx_repl::mlx::eval(arrays.iter().map(|(_, array)| array)).unwrap();
        checkpoint::write(&path, &arrays).unwrap();
    }

    #[track_caller]
    fn fails(&self, parts: &[&str]) {
        fails(self.dir.path(), parts);
    }
}

#[track_caller]
fn fails(path: &Path, parts: &[&str]) {
    let error = LanguageModel::load(path, None).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "no {part:?} in: {error}");
    }
}

#[test]
fn configurations() {
    let copy = Copy::of("qwen3_untied");
    fs::remove_file(copy.file("config.json")).unwrap();
    copy.fails(&["config.json", "a model is a folder"]);
    let wrong = |key: &str, value: Value, parts: &[&str]| {
        let copy = Copy::of("qwen3_untied");
        copy.edit("config.json", |json| json[key] = value);
        copy.fails(parts);
    };
    wrong(
        "model_type",
        json!("gpt2"),
        &["gpt2", "qwen3_moe", "config.json"],
    );
    wrong("hidden_size", json!("wide"), &["config.json"]);
    wrong("num_hidden_layers", json!(0), &["num_hidden_layers"]);
    wrong(
        "num_key_value_heads",
        json!(3),
        &["num_key_value_heads", "divisor"],
    );
    wrong(
        "rope_scaling",
        json!({ "type": "longrope" }),
        &["longrope", "yarn"],
    );
    wrong(
        "quantization_config",
        json!({ "quant_method": "fp8" }),
        &["fp8"],
    );
    wrong("hidden_act", json!("relu"), &["hidden_act"]);
    let copy = Copy::of("qwen3_moe");
    copy.edit("config.json", |json| json["num_experts_per_tok"] = json!(9));
    copy.fails(&["num_experts_per_tok", "8"]);
}

#[test]
fn weights_that_do_not_fit() {
    let name = "model.layers.1.self_attn.q_norm.weight";
    let copy = Copy::of("qwen3_untied");
    copy.weights(|arrays| arrays.retain(|(known, _)| known != name));
    copy.fails(&[name, "missing"]);
    let copy = Copy::of("qwen3_untied");
    copy.weights(|arrays| {
        let array = arrays.iter_mut().find(|(known, _)| known == name).unwrap();
        array.1 = array.1.as_dtype(mlx_repl::mlx::Dtype::Int32).unwrap();
    });
    copy.fails(&[name, "int32", "float32"]);
    let copy = Copy::of("qwen3_untied");
    copy.weights(|arrays| {
        let extra = arrays[0].1.clone();
        arrays.push(("model.layers.9.extra".into(), extra));
    });
    copy.fails(&["model.layers.9.extra", "no place"]);
    let copy = Copy::of("qwen3_untied");
    copy.edit("config.json", |json| json["intermediate_size"] = json!(65));
    copy.fails(&["gate_proj", "[64, 32]", "[65, 32]"]);
    // An expert of several, by its own name.
    let copy = Copy::of("qwen3_moe");
    copy.weights(|arrays| {
        let lost = ".mlp.experts.5.up_proj.weight";
        arrays.retain(|(known, _)| !known.ends_with(lost));
    });
    copy.fails(&[".mlp.experts.5.up_proj.weight", "missing"]);
    // Few bits that are not as many as the configuration says.
    let copy = Copy::of("qwen3_4bit_tied");
    copy.edit("config.json", |json| {
        json["quantization"]["bits"] = json!(8);
        json["quantization_config"]["bits"] = json!(8);
    });
    copy.fails(&["weight", "by the configuration"]);
    let copy = Copy::of("qwen3_4bit_tied");
    copy.weights(|arrays| {
        arrays.retain(|(known, _)| known != "model.embed_tokens.biases");
    });
    fails(copy.dir.path(), &["model.embed_tokens"]);
}

#[test]
fn shards() {
    let index = "model.safetensors.index.json";
    let copy = Copy::of("qwen3_sharded");
    fs::remove_file(copy.file("model-00002-of-00003.safetensors")).unwrap();
    copy.fails(&["model-00002-of-00003.safetensors", "missing"]);
    let first = |json: &Value| {
        let map = json["weight_map"].as_object().unwrap();
        map.keys().next().unwrap().clone()
    };
    let copy = Copy::of("qwen3_sharded");
    copy.edit(index, |json| {
        let name = first(json);
        json["weight_map"][name] = "../model.safetensors".into();
    });
    copy.fails(&["../model.safetensors", "not a file name"]);
    let copy = Copy::of("qwen3_sharded");
    copy.edit(index, |json| {
        let name = first(json);
        let other = match json["weight_map"][&name]
            .as_str()
            .unwrap()
            .contains("00001")
        {
            true => "model-00002-of-00003.safetensors",
            false => "model-00001-of-00003.safetensors",
        };
        json["weight_map"][name] = other.into();
    });
    copy.fails(&["where the index says it is", index]);
    let copy = Copy::of("qwen3_sharded");
    fs::write(copy.file(index), "{}").unwrap();
    copy.fails(&[index, "not an index"]);
    // Without the index they are read together, and may not overlap.
    let copy = Copy::of("qwen3_sharded");
    fs::remove_file(copy.file(index)).unwrap();
    LanguageModel::load(copy.dir.path(), None).unwrap();
    let shard = copy.file("model-00001-of-00003.safetensors");
    fs::copy(shard, copy.file("model-1.safetensors")).unwrap();
    copy.fails(&["in two of its files", index]);
}

#[test]
fn files_of_other_kinds() {
    let copy = Copy::of("qwen3_untied");
    fs::remove_file(copy.file("model.safetensors")).unwrap();
    copy.fails(&["no model*.safetensors"]);
    fs::write(copy.file("pytorch_model.bin"), "x").unwrap();
    copy.fails(&["pytorch_model.bin", "convert"]);
    fails(
        &vectors().join("gguf_llama3.gguf"),
        &["rope_freqs", "safetensors"],
    );
    fails(Path::new("nowhere"), &["no such folder"]);
    let file = vectors().join("qwen3_untied/model.safetensors");
    fails(&file, &["give the folder"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    fs::write(&path, "not one").unwrap();
    fails(&path, &["model.gguf", "not a GGUF file"]);
    fs::write(copy.file("tokenizer.json"), "{").unwrap();
    fs::copy(
        vectors().join("qwen3_untied/model.safetensors"),
        copy.file("model.safetensors"),
    )
    .unwrap();
    copy.fails(&["tokenizer.json"]);
}

/// A file of a header and so many bytes.
fn file(header: &[u8], length: u64, data: usize) -> Vec<u8> {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// Headers that were made to do harm: refused before anything is read or asked for.
#[test]
fn malicious_headers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let refused = |bytes: Vec<u8>, what: &str| {
        fs::write(&path, bytes).unwrap();
        let error = checkpoint::read(&path).unwrap_err().to_string();
        let named = ["truncated", "not a safetensors file", "damaged"];
        assert!(
            named.iter().any(|word| error.contains(word)),
            "{what}: {error}"
        );
        assert!(error.contains("model.safetensors"), "{what}: {error}");
    };
    let header = |json: Value, data: usize, what: &str| {
        let text = json.to_string();
        refused(file(text.as_bytes(), text.len() as u64, data), what);
    };
    refused(file(b"{}", u64::MAX, 0), "an endless header");
    refused(file(b"{}", 99_999_999, 0), "a header longer than the file");
    refused(file(&[b'{', 0xff, 0xfe, b'}'], 4, 0), "no UTF-8");
    refused(file(b"[1, 2]", 6, 0), "no object");
    refused(file(b"{\"a\": {}}", 9, 0), "a tensor without anything");
    let tensor = |shape: Value, from: u64, to: u64| json!({ "dtype": "F32", "shape": shape, "data_offsets": [from, to] });
    header(
        json!({ "a": tensor(json!([2]), 0, 8), "b": tensor(json!([2]), 4, 12) }),
        12,
        "overlap",
    );
    header(
        json!({ "a": tensor(json!([2]), 0, 8), "b": tensor(json!([2]), 16, 24) }),
        24,
        "a hole",
    );
    header(json!({ "a": tensor(json!([2]), 8, 0) }), 8, "backwards");
    header(
        json!({ "a": tensor(json!([4]), 0, 8) }),
        8,
        "more numbers than bytes",
    );
    header(
        json!({ "a": tensor(json!([u64::MAX, 2]), 0, 8) }),
        8,
        "sizes beyond counting",
    );
    header(
        json!({ "a": tensor(json!([-1]), 0, 8) }),
        8,
        "a negative size",
    );
    header(
        json!({ "a": tensor(json!([2]), 0, 8) }),
        4,
        "less data than it says",
    );
    header(
        json!({ "a": tensor(json!([2]), 0, 8) }),
        9,
        "more data than it says",
    );
    let unknown = json!({ "a": { "dtype": "F3", "shape": [2], "data_offsets": [0, 8] } });
    header(unknown, 8, "an unknown type");
    let twice = br#"{"a": {"dtype":"F32","shape":[1],"data_offsets":[0,4]}, "a": {"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    refused(file(twice, twice.len() as u64, 8), "one name twice");
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    refused(
        file(deep.as_bytes(), deep.len() as u64, 0),
        "nested without end",
    );
}
