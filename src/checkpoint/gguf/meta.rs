//! The values of metadata, as they lie in a file.

use super::Meta;
use super::source::Source;
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype, bytes, from_bytes, in_order, item_size};

const FLOAT32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;
const UINT32: u32 = 4;
const INT32: u32 = 5;
const UINT64: u32 = 10;
const INT64: u32 = 11;
const FLOAT64: u32 = 12;

/// The numbers of a file and their types in MLX.
const NUMBERS: [(u32, Dtype); 11] = [
    (0, Dtype::Uint8),
    (1, Dtype::Int8),
    (2, Dtype::Uint16),
    (3, Dtype::Int16),
    (UINT32, Dtype::Uint32),
    (INT32, Dtype::Int32),
    (FLOAT32, Dtype::Float32),
    (BOOL, Dtype::Bool),
    (UINT64, Dtype::Uint64),
    (INT64, Dtype::Int64),
    (FLOAT64, Dtype::Float64),
];

/// Reads the value of `key`, whose type comes first.
pub(super) fn read(source: &mut Source, key: &str) -> Result<Meta> {
    let what = format!("metadata `{key}`");
    let kind = source.u32(&what)?;
    match kind {
        BOOL => match source.number(&what)? {
            [0] => Ok(Meta::Bool(false)),
            [1] => Ok(Meta::Bool(true)),
            [other] => Err(source.wrong(format!("{what}: {other} is neither true nor false"))),
        },
        FLOAT32 => Ok(Meta::Float(
            f32::from_le_bytes(source.number(&what)?).into(),
        )),
        FLOAT64 => Ok(Meta::Float(f64::from_le_bytes(source.number(&what)?))),
        TEXT => Ok(Meta::Text(source.text(&what)?)),
        ARRAY => read_array(source, &what),
        kind => whole(source, kind, &what),
    }
}

fn whole(source: &mut Source, kind: u32, what: &str) -> Result<Meta> {
    Ok(Meta::Int(match kind {
        0 => u8::from_le_bytes(source.number(what)?).into(),
        1 => i8::from_le_bytes(source.number(what)?).into(),
        2 => u16::from_le_bytes(source.number(what)?).into(),
        3 => i16::from_le_bytes(source.number(what)?).into(),
        UINT32 => u32::from_le_bytes(source.number(what)?).into(),
        INT32 => i32::from_le_bytes(source.number(what)?).into(),
        INT64 => i64::from_le_bytes(source.number(what)?),
        UINT64 => {
            let number = source.u64(what)?;
            let Ok(number) = i64::try_from(number) else {
                let array = from_bytes(&number.to_le_bytes(), &[], Dtype::Uint64)?;
                return Ok(Meta::Array(array));
            };
            number
        }
        other => return Err(unknown(source, other, what)),
    }))
}

fn unknown(source: &Source, kind: u32, what: &str) -> Error {
    source.wrong(format!(
        "{what}: unknown type {kind}; expected one of 0 to 12"
    ))
}

fn read_array(source: &mut Source, what: &str) -> Result<Meta> {
    let kind = source.u32(what)?;
    let length = source.u64(what)?;
    if kind == TEXT {
        // Each is at least its length.
        source.must_hold(length, 8, what)?;
        let texts = (0..length).map(|_| source.text(what));
        return Ok(Meta::Texts(texts.collect::<Result<_>>()?));
    }
    if kind == ARRAY {
        let reason =
            format!("{what}: an array of arrays is not supported; expected numbers or texts");
        return Err(source.wrong(reason));
    }
    let Some((_, dtype)) = NUMBERS.iter().find(|(number, _)| *number == kind) else {
        return Err(unknown(source, kind, what));
    };
    let size = i32::try_from(length)
        .map_err(|_| source.wrong(format!("{what}: {length} numbers; MLX holds below 2^31")))?;
    let numbers = source.bytes(length * item_size(*dtype) as u64, what)?;
    Ok(Meta::Array(from_bytes(&numbers, &[size], *dtype)?))
}

/// Appends a value, with its type.
///
/// # Errors
/// The reason why an array cannot be metadata.
pub(super) fn write(out: &mut Vec<u8>, value: &Meta) -> Result<()> {
    match value {
        Meta::Int(number) => write_whole(out, *number),
        Meta::Float(number) => write_float(out, *number),
        Meta::Bool(truth) => put(out, BOOL, &[u8::from(*truth)]),
        Meta::Text(text) => {
            put(out, TEXT, &[]);
            write_text(out, text);
        }
        Meta::Texts(texts) => {
            put(out, ARRAY, &TEXT.to_le_bytes());
            out.extend((texts.len() as u64).to_le_bytes());
            texts.iter().for_each(|text| write_text(out, text));
        }
        Meta::Array(array) => write_array(out, array)?,
    }
    Ok(())
}

/// Appends a text after its length.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put(out: &mut Vec<u8>, kind: u32, bytes: &[u8]) {
    out.extend(kind.to_le_bytes());
    out.extend(bytes);
}

fn write_whole(out: &mut Vec<u8>, number: i64) {
    if let Ok(number) = u32::try_from(number) {
        put(out, UINT32, &number.to_le_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        put(out, INT32, &number.to_le_bytes());
    } else if let Ok(number) = u64::try_from(number) {
        put(out, UINT64, &number.to_le_bytes());
    } else {
        put(out, INT64, &number.to_le_bytes());
    }
}

fn write_float(out: &mut Vec<u8>, number: f64) {
    let short = number as f32;
    if short.is_finite() || !number.is_finite() {
        put(out, FLOAT32, &short.to_le_bytes());
    } else {
        put(out, FLOAT64, &number.to_le_bytes());
    }
}

fn write_array(out: &mut Vec<u8>, array: &Array) -> Result<()> {
    let dtype = array.dtype();
    let Some((kind, _)) = NUMBERS.iter().find(|(_, known)| *known == dtype) else {
        let remedy = "bool, integers, float32 or float64; convert it with `.astype(\"float32\")`";
        return Err(Error::value("type", format!("{dtype:?}"), remedy));
    };
    if array.ndim() > 1 {
        let expected = "[_], or [] for one number";
        return Err(Error::shape(
            "an array of metadata",
            expected,
            array.shape(),
        ));
    }
    if array.ndim() == 1 {
        put(out, ARRAY, &kind.to_le_bytes());
        out.extend((array.size() as u64).to_le_bytes());
    } else {
        put(out, *kind, &[]);
    }
    out.extend(bytes(&in_order(array)?)?);
    Ok(())
}
