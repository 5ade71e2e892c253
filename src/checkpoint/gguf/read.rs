//! Reading GGUF.

use super::kinds::{self, Becomes, Kind};
use super::repack::{Affine, GROUP};
use super::source::Source;
use super::{ALIGNMENT, ALIGNMENT_KEY, Gguf, MAGIC, MOST_AXES, Meta, meta};
use crate::checkpoint::aside::looks_like;
use crate::error::Result;
use crate::mlx::{Array, Dtype, from_bytes, graph};
use half::f16;
use std::collections::HashSet;
use std::path::Path;

/// The tensors and metadata of a GGUF file of version 2 or 3.
///
/// Plain tensors keep their type. Q4_0, Q4_1 and Q8_0 become MLX's quantised triple; Q5_0, Q5_1
/// and Q2_K to Q6_K become float16.
///
/// # Errors
/// A file that is not GGUF, is damaged or truncated, or has a tensor of another type.
pub fn read_gguf(path: &Path) -> Result<Gguf> {
    let mut source = Source::open(path)?;
    let (count, entries) = head(&mut source)?;
    let metadata = metadata(&mut source, entries)?;
    let alignment = alignment(&source, &metadata)?;
    let infos = infos(&mut source, count)?;
    let Some(start) = source.at().checked_next_multiple_of(alignment) else {
        return Err(source.wrong(format!("`{ALIGNMENT_KEY}` is {alignment}")));
    };
    let mut names = HashSet::new();
    let mut tensors = Vec::new();
    for info in infos {
        for (name, array) in info.load(&mut source, start, alignment)? {
            if !names.insert(name.clone()) {
                return Err(source.wrong(format!("two tensors are named `{name}`")));
            }
            tensors.push((name, array));
        }
    }
    Ok(Gguf { tensors, metadata })
}

/// The numbers of tensors and of metadata.
fn head(source: &mut Source) -> Result<(u64, u64)> {
    let start = source.bytes(source.length().min(16), "the header")?;
    source.go_to(0)?;
    if !start.starts_with(MAGIC) {
        let reason = format!("not a GGUF file: {}", looks_like(&start));
        return Err(source.wrong(reason));
    }
    source.go_to(MAGIC.len() as u64)?;
    match source.u32("the version")? {
        2 | 3 => {}
        version if version.swap_bytes() < 1 << 16 => {
            return Err(source.wrong("big-endian GGUF; only little-endian files are supported"));
        }
        version => {
            let reason = format!("GGUF version {version}; expected 2 or 3");
            return Err(source.wrong(reason));
        }
    }
    let tensors = source.u64("the number of tensors")?;
    let entries = source.u64("the number of metadata")?;
    Ok((tensors, entries))
}

fn metadata(source: &mut Source, entries: u64) -> Result<Vec<(String, Meta)>> {
    // Each is at least a length, a type and a byte.
    source.must_hold(entries, 13, "the metadata")?;
    let mut names = HashSet::new();
    let mut metadata = Vec::new();
    for _ in 0..entries {
        let key = source.name("a name of metadata")?;
        if !names.insert(key.clone()) {
            return Err(source.wrong(format!("metadata `{key}` is there twice")));
        }
        let value = meta::read(source, &key)?;
        metadata.push((key, value));
    }
    Ok(metadata)
}

fn alignment(source: &Source, metadata: &[(String, Meta)]) -> Result<u64> {
    match metadata.iter().find(|(key, _)| key == ALIGNMENT_KEY) {
        None => Ok(ALIGNMENT),
        Some((_, Meta::Int(number))) if (1..1 << 32).contains(number) => Ok(*number as u64),
        Some((_, other)) => {
            let reason = format!("`{ALIGNMENT_KEY}` is {other:?}; expected a positive number");
            Err(source.wrong(reason))
        }
    }
}

/// What the file says of a tensor.
struct Info {
    name: String,
    shape: Vec<i32>,
    kind: &'static Kind,
    bytes: u64,
    offset: u64,
}

fn infos(source: &mut Source, count: u64) -> Result<Vec<Info>> {
    // Each is at least a length, the number of axes, a type and an offset.
    source.must_hold(count, 24, "the list of tensors")?;
    let infos: Vec<Info> = (0..count)
        .map(|_| Info::read(source))
        .collect::<Result<_>>()?;
    // Tensors that share bytes could make any number of gigabytes of a small file.
    let total = infos
        .iter()
        .map(|info| u128::from(info.bytes))
        .sum::<u128>();
    if total > u128::from(source.length()) {
        let reason = format!(
            "truncated or damaged: its tensors take {total} bytes, the file has {}",
            source.length()
        );
        return Err(source.wrong(reason));
    }
    Ok(infos)
}

impl Info {
    fn read(source: &mut Source) -> Result<Self> {
        let name = source.name("the name of a tensor")?;
        let what = format!("tensor `{name}`");
        let axes = source.u32(&what)? as usize;
        if axes > MOST_AXES {
            return Err(source.wrong(format!("{what}: {axes} axes; at most {MOST_AXES} can be")));
        }
        let mut sizes = Vec::with_capacity(axes);
        for _ in 0..axes {
            sizes.push(source.u64(&what)?);
        }
        let number = source.u32(&what)?;
        let offset = source.u64(&what)?;
        let kind = kinds::find(number)
            .ok_or_else(|| source.wrong(format!("{what}: {}", kinds::refusal(number))))?;
        // The file counts axes from the innermost.
        let shape = sizes.iter().rev().map(|size| i32::try_from(*size));
        let shape: Vec<i32> = shape
            .collect::<Result<_, _>>()
            .map_err(|_| source.wrong(format!("{what}: sizes {sizes:?}; MLX's are below 2^31")))?;
        let row = sizes.first().copied().unwrap_or(1);
        if !row.is_multiple_of(kind.elements) {
            return Err(source.wrong(format!(
                "{what}: rows of {row} numbers; {} packs {} together",
                kind.name, kind.elements
            )));
        }
        let elements = sizes
            .iter()
            .try_fold(1u64, |all, size| all.checked_mul(*size));
        let bytes = elements.and_then(|all| (all / kind.elements).checked_mul(kind.bytes));
        let bytes = bytes.ok_or_else(|| {
            source.wrong(format!("{what}: its sizes {sizes:?} are beyond counting"))
        })?;
        Ok(Self {
            name,
            shape,
            kind,
            bytes,
            offset,
        })
    }

    /// The arrays of a tensor: one, or three if it is quantised as MLX quantises.
    fn load(
        &self,
        source: &mut Source,
        start: u64,
        alignment: u64,
    ) -> Result<Vec<(String, Array)>> {
        let end = start
            .checked_add(self.offset)
            .and_then(|at| at.checked_add(self.bytes));
        if end.is_none_or(|end| end > source.length()) {
            return Err(source.wrong(format!(
                "truncated or damaged: tensor `{}` needs {} bytes at {} of the data, which starts \
                 at byte {start} of {}",
                self.name,
                self.bytes,
                self.offset,
                source.length()
            )));
        }
        if !self.offset.is_multiple_of(alignment) {
            return Err(source.wrong(format!(
                "damaged: tensor `{}` starts at {}, which is no multiple of {alignment}",
                self.name, self.offset
            )));
        }
        source.go_to(start + self.offset)?;
        let bytes = source.bytes(self.bytes, &format!("tensor `{}`", self.name))?;
        match &self.kind.becomes {
            Becomes::Same(dtype) => {
                let array = from_bytes(&bytes, &self.shape, *dtype)?;
                Ok(vec![(self.name.clone(), array)])
            }
            Becomes::Affine(bits, repack) => self.affine(&bytes, *bits, *repack),
            Becomes::Float16(expand) => self.float16(&bytes, *expand),
        }
    }

    fn affine(
        &self,
        bytes: &[u8],
        bits: i32,
        repack: fn(&[u8], &mut Affine),
    ) -> Result<Vec<(String, Array)>> {
        let mut parts = Affine::default();
        for block in bytes.chunks_exact(self.kind.bytes as usize) {
            repack(block, &mut parts);
        }
        let with_rows_of = |row: i32| {
            let mut shape = self.shape.clone();
            shape.pop();
            shape.push(row);
            shape
        };
        let row = self.shape.last().copied().unwrap_or(0);
        let group = GROUP as i32;
        // A group of 32 numbers of so many bits is as many words of 32 bits.
        let packed = with_rows_of(row / group * bits);
        let groups = with_rows_of(row / group);
        let stem = self.name.strip_suffix(".weight").unwrap_or(&self.name);
        let weight = from_bytes(&parts.weight, &packed, Dtype::Uint32)?;
        let scales = from_bytes(&parts.scales, &groups, Dtype::Float16)?;
        let biases = from_bytes(&parts.biases, &groups, Dtype::Float16)?;
        Ok(vec![
            (self.name.clone(), weight),
            (format!("{stem}.scales"), scales),
            (format!("{stem}.biases"), biases),
        ])
    }

    fn float16(&self, bytes: &[u8], expand: fn(&[u8], &mut [f32])) -> Result<Vec<(String, Array)>> {
        graph::check_fits(&self.shape, size_of::<f16>())?;
        let mut numbers = vec![0.0; self.kind.elements as usize];
        let mut halves = Vec::new();
        for block in bytes.chunks_exact(self.kind.bytes as usize) {
            expand(block, &mut numbers);
            halves.extend(numbers.iter().flat_map(|n| f16::from_f32(*n).to_le_bytes()));
        }
        let array = from_bytes(&halves, &self.shape, Dtype::Float16)?;
        Ok(vec![(self.name.clone(), array)])
    }
}
