//! Arrays in files: npy, npz, safetensors and GGUF.

use super::super::convert;
use crate::checkpoint::{self, Meta};
use crate::error::{Error, Result};
use crate::mlx::Array;
use crate::script::bind::{Binder, Call, Reply};
use crate::script::lists::from_value;
use crate::script::settings::float;
use crate::script::tensor::Tensor;
use rhai::{Array as List, Dynamic, Map};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The formats, by what their files end in.
const FORMATS: [&str; 4] = ["npy", "npz", "safetensors", "gguf"];

/// The functions of this file.
pub fn register(b: &mut Binder) {
    saving(b);
    loading(b);
}

fn saving(b: &mut Binder) {
    b.function(
        "save(file: string, arrays: Tensor or map, metadata: map = ()) -> ()",
        "Writes arrays to a file, in the format that its name ends in: one tensor to `.npy` (which is added where \
         there is no ending), a map of tensors by name to `.npz`, `.safetensors` or `.gguf`. \
         \n\nMaps and lists inside the map are laid out with dots in the names: `layers.0.weight`. \
         Metadata are texts for safetensors; texts, numbers, booleans and lists for GGUF. \
         The file is written aside and then renamed, so a file that was there is replaced whole or not at all.",
        "mx::save(\"target/examples/a.npy\", tensor([1, 2]));
         assert_eq(mx::load(\"target/examples/a.npy\"), [1, 2]);
         mx::save(\"target/examples/a.safetensors\", #{ w: tensor([1.0]) }, #{ made_by: \"me\" });
         assert_eq(mx::load(\"target/examples/a.safetensors\").w, [1]);",
        save,
    );
    b.function(
        "savez(file: string, arrays: map or list) -> ()",
        "Writes tensors to an npz file, by name; those of a list are `arr_0`, `arr_1` and so on.",
        "mx::savez(\"target/examples/pair\", [tensor([1, 2]), tensor(3)]);
         assert_eq(mx::load(\"target/examples/pair.npz\").arr_1, 3);",
        |c| save_npz(c, false),
    );
    b.function(
        "savez_compressed(file: string, arrays: map or list) -> ()",
        "Writes tensors to an npz file as `savez`, compressed.",
        "mx::savez_compressed(\"target/examples/small.npz\", #{ zeros: mx::zeros([1000]) });
         assert_eq(mx::load(\"target/examples/small.npz\").zeros.shape, [1000]);",
        |c| save_npz(c, true),
    );
    for (name, format) in [("save_safetensors", "safetensors"), ("save_gguf", "gguf")] {
        b.function(
            &format!("{name}(file: string, arrays: map, metadata: map = ()) -> ()"),
            &format!("As `mx::save` for a {format} file; the ending is added where there is none."),
            &format!(
                "mx::{name}(\"target/examples/b\", #{{ w: tensor([1.0, 2.0]) }}, #{{ \"general.name\": \"b\" }});
                 assert_eq(mx::load(\"target/examples/b.{format}\").w, [1, 2]);"
            ),
            move |c| write(c, &with_ending(&c.text(0)?, format), format),
        );
    }
}

fn loading(b: &mut Binder) {
    b.function(
        "load(file: string, format: string = (), return_metadata: bool = false) -> Tensor or map",
        "Reads a file of arrays: a tensor from `.npy`, a map of tensors by name from `.npz`, `.safetensors` and \
         `.gguf`. `format` is the format of a file with another ending. With `return_metadata`, which \
         safetensors and GGUF have, it answers `[arrays, metadata]`.",
        "mx::save(\"target/examples/c.safetensors\", #{ w: tensor([1.0]) }, #{ step: \"7\" });
         let read = mx::load(\"target/examples/c.safetensors\", #{ return_metadata: true });
         assert_eq(read[0].w, [1]);
         assert_eq(read[1].step, \"7\");",
        load,
    );
}

fn save(c: &Call) -> Result<()> {
    let file = c.text(0)?;
    if c.get(1).is::<Tensor>() && Path::new(&file).extension().is_none() {
        return write(c, &with_ending(&file, "npy"), "npy");
    }
    let path = PathBuf::from(&file);
    let format = format_of(c, &path)?;
    write(c, &path, format)
}

fn write(c: &Call, path: &Path, format: &str) -> Result<()> {
    let no_metadata = match format {
        "safetensors" | "gguf" => true,
        _ => !c.has(2),
    };
    if !no_metadata {
        return Err(c.wrong(2, "none: npy and npz files have no place for metadata"));
    }
    match format {
        "npy" if c.get(1).is_map() => Err(c.wrong(1, "a tensor: an npy file holds one")),
        "npy" => checkpoint::write_npy(path, &c.tensor(1)?),
        "npz" => checkpoint::write_npz(path, &named(c)?, false),
        "safetensors" => checkpoint::write_with_metadata(path, &named(c)?, &texts(c)?),
        _ => checkpoint::write_gguf(path, &named(c)?, &metas(c)?),
    }
}

fn save_npz(c: &Call, compressed: bool) -> Result<()> {
    let path = with_ending(&c.text(0)?, "npz");
    let arrays = match c.get(1).read_lock::<List>() {
        None => named(c)?,
        Some(list) => {
            let mut found = Vec::new();
            for (i, item) in list.iter().enumerate() {
                lay_out(&format!("arr_{i}"), item, &mut found)?;
            }
            found
        }
    };
    checkpoint::write_npz(&path, &arrays, compressed)
}

fn load(c: &Call) -> Result<Dynamic> {
    let path = PathBuf::from(c.text(0)?);
    let format = match c.has(1) {
        true => c.choice(1, &FORMATS)?,
        false => format_of(c, &path)?.to_string(),
    };
    let wanted = c.flag(2)?;
    if wanted && matches!(format.as_str(), "npy" | "npz") {
        return Err(c.wrong(2, "false: npy and npz files have no metadata"));
    }
    let (arrays, metadata) = match format.as_str() {
        "npy" => return checkpoint::read_npy(&path)?.reply(),
        "npz" => (map_of(checkpoint::read_npz(&path)?)?, Map::new()),
        "safetensors" => {
            let (arrays, texts) = checkpoint::read_with_metadata(&path)?;
            let texts = texts.into_iter().map(|(k, v)| (k.into(), v.into()));
            (map_of(arrays)?, texts.collect())
        }
        _ => {
            let file = checkpoint::read_gguf(&path)?;
            let metadata = file.metadata.into_iter();
            let metadata: Result<Map> = metadata
                .map(|(name, meta)| Ok((name.into(), from_meta(meta)?)))
                .collect();
            (map_of(file.tensors)?, metadata?)
        }
    };
    match wanted {
        true => Ok(vec![Dynamic::from(arrays), Dynamic::from(metadata)].into()),
        false => Ok(arrays.into()),
    }
}

/// The format that a path ends in.
fn format_of(c: &Call, path: &Path) -> Result<&'static str> {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let found = FORMATS.iter().find(|format| ending == **format);
    let expected = "a name that ends in .npy, .npz, .safetensors or .gguf";
    found.copied().ok_or_else(|| c.wrong(0, expected))
}

/// As MLX: `a` is `a.npz`, and `a.npz` is itself.
fn with_ending(file: &str, format: &str) -> PathBuf {
    let path = Path::new(file);
    match path.extension().is_some_and(|ending| ending == format) {
        true => path.into(),
        false => format!("{file}.{format}").into(),
    }
}

/// The tensors of the map of arrays, in the order of their names.
fn named(c: &Call) -> Result<Vec<(String, Array)>> {
    let Some(map) = c.get(1).read_lock::<Map>() else {
        return Err(c.wrong(1, "a map of tensors by name"));
    };
    let mut found = Vec::new();
    for (name, value) in map.iter() {
        lay_out(name, value, &mut found)?;
    }
    Ok(found)
}

fn lay_out(name: &str, value: &Dynamic, found: &mut Vec<(String, Array)>) -> Result<()> {
    if let Some(map) = value.read_lock::<Map>() {
        let mut fields = map.iter();
        return fields.try_for_each(|(key, item)| lay_out(&format!("{name}.{key}"), item, found));
    }
    if let Some(list) = value.read_lock::<List>()
        && list.iter().any(|item| item.is::<Tensor>() || item.is_map())
    {
        let mut items = list.iter().enumerate();
        return items.try_for_each(|(i, item)| lay_out(&format!("{name}.{i}"), item, found));
    }
    let array = from_value(value).map_err(|_| {
        let found = convert::found(value);
        Error::value(format!("array `{name}`"), found, "a tensor")
    })?;
    found.push((name.into(), array));
    Ok(())
}

/// The metadata of safetensors, which are texts.
fn texts(c: &Call) -> Result<HashMap<String, String>> {
    let text = |name: &str, value: &Dynamic| match value.is_string() {
        true => Ok((name.to_string(), value.to_string())),
        false => Err(Error::value(
            format!("metadata `{name}`"),
            convert::found(value),
            "a string: safetensors keeps texts only",
        )),
    };
    let map = metadata(c)?;
    map.iter().map(|(name, value)| text(name, value)).collect()
}

fn metas(c: &Call) -> Result<Vec<(String, Meta)>> {
    let map = metadata(c)?;
    let metas = map
        .iter()
        .map(|(name, value)| Ok((name.to_string(), meta(name, value)?)));
    metas.collect()
}

fn metadata(c: &Call) -> Result<Map> {
    if !c.has(2) {
        return Ok(Map::new());
    }
    let map = c.get(2).read_lock::<Map>();
    let map = map.ok_or_else(|| c.wrong(2, "a map"))?;
    Ok(map.clone())
}

fn meta(name: &str, value: &Dynamic) -> Result<Meta> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return Ok(Meta::Array(tensor.array()));
    }
    if let Some(list) = value.read_lock::<List>() {
        if !list.is_empty() && list.iter().all(Dynamic::is_string) {
            return Ok(Meta::Texts(list.iter().map(ToString::to_string).collect()));
        }
        return from_value(value).map(Meta::Array);
    }
    match (value.as_int(), value.as_bool(), float(value)) {
        (Ok(whole), ..) => Ok(Meta::Int(whole)),
        (_, Ok(bit), _) => Ok(Meta::Bool(bit)),
        (.., Some(number)) => Ok(Meta::Float(number)),
        _ if value.is_string() => Ok(Meta::Text(value.to_string())),
        _ => Err(Error::value(
            format!("metadata `{name}`"),
            convert::found(value),
            "a string, a number, a boolean, a tensor, or a list of strings or numbers",
        )),
    }
}

fn from_meta(meta: Meta) -> Result<Dynamic> {
    Ok(match meta {
        Meta::Int(whole) => whole.into(),
        Meta::Float(number) => number.into(),
        Meta::Bool(bit) => bit.into(),
        Meta::Text(text) => text.into(),
        Meta::Array(array) => array.reply()?,
        Meta::Texts(texts) => texts
            .into_iter()
            .map(Dynamic::from)
            .collect::<List>()
            .into(),
    })
}

fn map_of(arrays: impl IntoIterator<Item = (String, Array)>) -> Result<Map> {
    let arrays = arrays.into_iter();
    arrays
        .map(|(name, array)| Ok((name.into(), array.reply()?)))
        .collect()
}
