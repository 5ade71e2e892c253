//! What is saved here, loaded by mlx-lm and by transformers.

use crate::support::{skipped, vectors};
use mlx_repl::checkpoint::ModelDir;
use mlx_repl::mlx::quantized::Format;
use mlx_repl::mlx::{Array, Dtype, random};
use mlx_repl::models::{LoraSettings, Qwen3};
use mlx_repl::nn::Params;
use mlx_repl::tensor::to_f32;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Python with the libraries: the one that `MLX_REPL_PEER` names, which may have torch and
/// transformers too; else an environment of its own with mlx-lm, made once.
fn python() -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os("MLX_REPL_PEER") {
        return Ok(given.into());
    }
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mlx-lm");
    let python = venv.join("bin/python");
    let ready = venv.join("ready");
    if !ready.exists() {
        run(
            Path::new("python3"),
            &["-m", "venv", &venv.to_string_lossy()],
        )?;
        let packages = ["mlx[cpu]==0.32.2", "mlx-lm==0.32.2"];
        let install = ["-m", "pip", "install", "--quiet", packages[0], packages[1]];
        run(&python, &install)?;
        std::fs::write(&ready, "").map_err(|e| e.to_string())?;
    }
    Ok(python)
}

fn run(program: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output();
    let output = output.map_err(|e| format!("{}: {e}", program.display()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The logits after the eight tokens that `roundtrip.py` asks for.
fn logits(model: &Qwen3) -> Vec<f32> {
    let ids = Array::from_slice(&[1i32, 2, 3, 4, 5, 6, 7, 8], &[1, 8]);
    let logits = to_f32(&model.forward(&ids, None).unwrap()).unwrap();
    logits[logits.len() - model.config.vocab_size as usize..].to_vec()
}

/// Compares with what a library computes. Whether it did; a library may not be there, or not
/// know the format.
fn agrees(answer: &Value, library: &str, ours: &[f32], name: &str, tolerance: f32) -> bool {
    let Some(theirs) = answer[library].as_array() else {
        return false;
    };
    assert_eq!(theirs.len(), ours.len(), "{name}, {library}");
    for (theirs, ours) in theirs.iter().zip(ours) {
        let off = (theirs.as_f64().unwrap() as f32 - ours).abs();
        assert!(off < tolerance, "{name}, {library}: off by {off}");
    }
    true
}

/// Models of each kind, with the largest difference of logits that is allowed.
fn models() -> Vec<(&'static str, Qwen3, f32)> {
    let load = |name: &str, dtype| Qwen3::load(&vectors().join(name), dtype).unwrap();
    let names = [
        "qwen3_tied",
        "qwen3_untied",
        "qwen3_moe",
        "qwen3_moe_tied",
        "qwen3_yarn",
        "llama3_tied",
        "qwen2_tied",
        "qwen3_4bit_tied",
        "qwen3_mixed",
        "qwen3_moe_4bit",
    ];
    let mut models: Vec<(&str, Qwen3, f32)> = names
        .into_iter()
        .map(|name| (name, load(name, None), 1e-4))
        .collect();
    let mut packed = load("qwen3_untied", None);
    packed
        .quantize(&Format::new("affine", Some(32), Some(6)))
        .unwrap();
    models.push(("six bits", packed, 1e-4));
    let half = load("qwen3_untied", Some(Dtype::Bfloat16));
    // Eight bits of a number, and sums in another order.
    models.push(("bfloat16", half, 0.05));
    models
}

/// One test, so that the environment is made once.
#[test]
fn other_libraries_load_what_is_saved() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            skipped(&format!("mlx-lm cannot be had: {reason}"));
            return;
        }
    };
    let script = vectors().join("roundtrip.py");
    let ask = |args: &[&str]| -> Value {
        let args = [&[script.to_str().unwrap()], args].concat();
        serde_json::from_str(&run(&python, &args).unwrap()).unwrap()
    };
    let (mut by_mlx_lm, mut by_transformers) = (0, 0);
    for (name, model, tolerance) in models() {
        // Each call starts Python anew, so shards are tried with two of them.
        let few = ["qwen3_tied", "qwen3_moe"].contains(&name);
        let sizes = if few {
            vec![usize::MAX, 30_000]
        } else {
            vec![usize::MAX]
        };
        for shard_bytes in sizes {
            let dir = tempfile::tempdir().unwrap();
            model
                .save(&ModelDir::create(dir.path()).unwrap(), shard_bytes)
                .unwrap();
            let answer = ask(&[dir.path().to_str().unwrap()]);
            let ours = logits(&model);
            let done = agrees(&answer, "mlx_lm", &ours, name, tolerance);
            assert!(done, "{name}: {}", answer["mlx_lm_error"]);
            by_mlx_lm += 1;
            by_transformers += u32::from(agrees(&answer, "transformers", &ours, name, tolerance));
        }
    }
    for (name, model, _) in models() {
        let mut model = model;
        let base = tempfile::tempdir().unwrap();
        model
            .save(&ModelDir::create(base.path()).unwrap(), usize::MAX)
            .unwrap();
        adapt(&mut model);
        let adapter = tempfile::tempdir().unwrap();
        model
            .save_adapter(&ModelDir::create(adapter.path()).unwrap())
            .unwrap();
        let folders = [base.path(), adapter.path()].map(|path| path.to_str().unwrap());
        let answer = ask(&[folders[0], "--adapter", folders[1]]);
        let tolerance = if name == "bfloat16" { 0.1 } else { 5e-4 };
        let done = agrees(&answer, "mlx_lm", &logits(&model), name, tolerance);
        assert!(done, "{name}, adapters: {}", answer["mlx_lm_error"]);
    }
    println!("{by_mlx_lm} folders loaded by mlx-lm, {by_transformers} by transformers");
    if std::env::var_os("MLX_REPL_PEER").is_some() {
        assert!(
            by_transformers >= 10,
            "transformers loaded {by_transformers}"
        );
    }
}

fn adapt(model: &mut Qwen3) {
    let settings = LoraSettings {
        rank: 4,
        scale: 2.0,
        ..LoraSettings::default()
    };
    model.add_lora(&settings).unwrap();
    let key = random::key(1).unwrap();
    let noise = |a: &Array| mlx_rs::random::normal::<f32>(a.shape(), None, 0.1, &key).unwrap();
    let moved: Vec<Array> = model.trained().iter().map(|(_, a)| noise(a)).collect();
    model.set_trained(&moved);
}
