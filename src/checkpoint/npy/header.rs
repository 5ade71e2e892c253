//! The header of a npy file: a Python dict literal of three entries.

use crate::error::{Error, Result};
use crate::mlx::Dtype;

/// What a header says.
pub(super) struct Header {
    pub dtype: Dtype,
    /// The length of the pieces whose bytes must be turned round; 1 if none must be.
    pub swapped: usize,
    /// Whether the first axis, not the last, is the one that lies together.
    pub fortran: bool,
    pub shape: Vec<i32>,
}

/// Reads the text of a header; `name` is the file's, for errors.
pub(super) fn parse(text: &str, name: &str) -> Result<Header> {
    let mut literal = Literal { rest: text, name };
    let (mut element, mut fortran, mut shape) = (None, None, None);
    literal.expect("{")?;
    while !literal.take("}") {
        let key = literal.string()?;
        literal.expect(":")?;
        match key {
            "descr" => element = Some(literal.element()?),
            "fortran_order" => fortran = Some(literal.truth()?),
            "shape" => shape = Some(literal.shape()?),
            other => return Err(literal.wrong(&format!("it has an unknown entry `{other}`"))),
        }
        if !literal.take(",") {
            literal.expect("}")?;
            break;
        }
    }
    if !literal.rest.trim().is_empty() {
        return Err(literal.wrong("text follows its closing brace"));
    }
    let missing = |what: &str| literal.wrong(&format!("it has no `{what}`"));
    let (dtype, swapped) = element.ok_or_else(|| missing("descr"))?;
    Ok(Header {
        dtype,
        swapped,
        fortran: fortran.ok_or_else(|| missing("fortran_order"))?,
        shape: shape.ok_or_else(|| missing("shape"))?,
    })
}

/// The code of an element type in this machine's order, or nothing for what npy lacks.
pub(super) fn code(dtype: Dtype) -> Option<&'static str> {
    Some(match dtype {
        Dtype::Bool => "|b1",
        Dtype::Uint8 => "|u1",
        Dtype::Uint16 => "<u2",
        Dtype::Uint32 => "<u4",
        Dtype::Uint64 => "<u8",
        Dtype::Int8 => "|i1",
        Dtype::Int16 => "<i2",
        Dtype::Int32 => "<i4",
        Dtype::Int64 => "<i8",
        Dtype::Float16 => "<f2",
        Dtype::Float32 => "<f4",
        Dtype::Float64 => "<f8",
        Dtype::Complex64 => "<c8",
        Dtype::Bfloat16 => return None,
    })
}

/// An element type and the length of the pieces that a change of byte order turns round.
fn decode(code: &str) -> Option<(Dtype, usize)> {
    Some(match code {
        "b1" => (Dtype::Bool, 1),
        "u1" => (Dtype::Uint8, 1),
        "u2" => (Dtype::Uint16, 2),
        "u4" => (Dtype::Uint32, 4),
        "u8" => (Dtype::Uint64, 8),
        "i1" => (Dtype::Int8, 1),
        "i2" => (Dtype::Int16, 2),
        "i4" => (Dtype::Int32, 4),
        "i8" => (Dtype::Int64, 8),
        "f2" => (Dtype::Float16, 2),
        "f4" => (Dtype::Float32, 4),
        "f8" => (Dtype::Float64, 8),
        // A complex number is two floats, each in its own order.
        "c8" => (Dtype::Complex64, 4),
        // NumPy has no bfloat16; MLX and ml_dtypes write it as two bytes of no meaning.
        "V2" => (Dtype::Bfloat16, 2),
        _ => return None,
    })
}

/// Why an element type cannot be an array, for those that people meet.
fn refusal(code: &str) -> &'static str {
    match code.chars().next() {
        Some('O') => "Python objects (pickles) are never loaded",
        Some('U' | 'S' | 'a') => "text is not supported",
        Some('M' | 'm') => "times are not supported; save `a.astype(\"int64\")`",
        Some('c') => "save `a.astype(\"complex64\")`",
        Some('f' | 'g') => "save `a.astype(\"float64\")`",
        _ => "expected one of b1, u1, u2, u4, u8, i1, i2, i4, i8, f2, f4, f8, c8",
    }
}

/// A Python literal, read from its start.
struct Literal<'a> {
    rest: &'a str,
    name: &'a str,
}

impl<'a> Literal<'a> {
    fn wrong(&self, reason: &str) -> Error {
        Error::file(self.name, format!("damaged npy header: {reason}"))
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let Some(after) = rest.strip_prefix(token) else {
            return false;
        };
        self.rest = after;
        true
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        if self.take(token) {
            return Ok(());
        }
        let found: String = self.rest.trim_start().chars().take(12).collect();
        Err(self.wrong(&format!("expected `{token}`, found `{found}`")))
    }

    fn string(&mut self) -> Result<&'a str> {
        let quote = if self.take("\"") {
            '"'
        } else {
            self.expect("'")?;
            '\''
        };
        let text = self.rest.split_once(quote);
        let (text, rest) = text.ok_or_else(|| self.wrong("a string has no end"))?;
        self.rest = rest;
        Ok(text)
    }

    fn truth(&mut self) -> Result<bool> {
        if self.take("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    /// The element type, and the length of the pieces to be turned round.
    fn element(&mut self) -> Result<(Dtype, usize)> {
        if self.rest.trim_start().starts_with('[') {
            let reason = "structured elements (records) are not supported; save each field alone";
            return Err(Error::file(self.name, reason));
        }
        let text = self.string()?;
        let code = text.trim_start_matches(['<', '>', '|', '=']);
        let Some((dtype, piece)) = decode(code) else {
            let reason = format!("elements of type `{text}`: {}", refusal(code));
            return Err(Error::file(self.name, reason));
        };
        Ok((dtype, if text.starts_with('>') { piece } else { 1 }))
    }

    fn shape(&mut self) -> Result<Vec<i32>> {
        let mut shape = Vec::new();
        self.expect("(")?;
        while !self.take(")") {
            shape.push(self.size()?);
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(shape)
    }

    fn size(&mut self) -> Result<i32> {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_digit());
        let (digits, rest) = rest.split_at(end.unwrap_or(rest.len()));
        // Python 2 marked long numbers.
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        digits.parse().map_err(|_| {
            let found = if digits.is_empty() { rest } else { digits };
            let found: String = found.chars().take(24).collect();
            let reason = format!("size `{found}` of its shape is not a number below 2^31");
            self.wrong(&reason)
        })
    }
}
