//! Arrays as text, in the manner of NumPy.

use super::dtype;
use crate::error::Result;
use crate::mlx::{Array, Dtype, in_order, slice, values};
use mlx_rs::ops;

/// An array of so many elements is shown whole.
const MOST: usize = 100;
/// Of a larger one, an axis longer than this is shown by its two ends.
const LONGEST: i32 = 6;
/// How much of each end is shown.
pub(super) const EDGE: i32 = 3;

/// A row wider than this is broken into lines.
const WIDTH: usize = 80;

/// The values with shape and dtype; only what is shown is computed on the host.
///
/// A scalar is its number alone, with as many digits as tell it apart.
pub fn show(a: &Array) -> Result<String> {
    if a.ndim() == 0 {
        return number(a);
    }
    let shown = visible(a)?;
    let cells = cells(&shown)?;
    let width = cells.iter().map(String::len).max().unwrap_or(0);
    let cells: Vec<String> = cells.iter().map(|c| format!("{c:>width$}")).collect();
    let layout = Layout {
        is_short: shown.shape() != a.shape(),
        per_line: ((WIDTH - a.ndim().min(WIDTH / 2)) / (width + 2)).max(1),
    };
    let mut text = String::new();
    layout.write_axis(&mut text, a.shape(), 0, &mut cells.iter());
    Ok(format!("{text}\n{}", form(a)))
}

/// Shape and element type: `shape [2, 3], float32`.
pub fn form(a: &Array) -> String {
    format!("shape {:?}, {}", a.shape(), dtype::name(a.dtype()))
}

fn number(a: &Array) -> Result<String> {
    Ok(match a.dtype() {
        Dtype::Float64 => format!("{:?}", values::floats(a)?[0]),
        d if d.is_float() => format!("{:?}", values::floats(a)?[0] as f32).to_lowercase(),
        _ => cells(a)?.concat(),
    })
}

/// The part of the array that is shown: the ends of every long axis.
pub(super) fn visible(a: &Array) -> Result<Array> {
    let mut a = a.clone();
    if a.size() <= MOST {
        return Ok(a);
    }
    for axis in 0..a.ndim() {
        let size = a.shape()[axis];
        if size <= LONGEST {
            continue;
        }
        let (mut start, mut stop) = (vec![0; a.ndim()], a.shape().to_vec());
        stop[axis] = EDGE;
        let head = slice(&a, &start, &stop)?;
        (start[axis], stop[axis]) = (size - EDGE, size);
        let tail = slice(&a, &start, &stop)?;
        a = ops::concatenate(&[head, tail], axis as i32)?;
    }
    Ok(a)
}

/// The shown values as text, in order.
pub(super) fn cells(a: &Array) -> Result<Vec<String>> {
    let a = in_order(a)?;
    if a.size() == 0 {
        return Ok(Vec::new());
    }
    Ok(match a.dtype() {
        Dtype::Bool => list(a.to_vec_exact::<bool>()?),
        Dtype::Uint64 => list(a.to_vec_exact::<u64>()?),
        Dtype::Complex64 => a
            .to_vec_exact::<mlx_rs::complex64>()?
            .iter()
            .map(|z| format!("{}{:+}j", float(f64::from(z.re)), z.im))
            .collect(),
        d if d.is_float() => floats(&values::floats(&a)?),
        _ => list(values::integers(&a)?),
    })
}

fn list<T: ToString>(values: Vec<T>) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}

/// Numbers with as many decimals as the list needs, at most four; very large or small ones in
/// powers of ten.
fn floats(values: &[f64]) -> Vec<String> {
    let finite = || values.iter().filter(|x| x.is_finite() && **x != 0.0);
    let largest = finite().map(|x| x.abs()).fold(0.0, f64::max);
    let smallest = finite().map(|x| x.abs()).fold(f64::INFINITY, f64::min);
    if largest >= 1e6 || (smallest < 1e-4 && smallest.is_finite()) {
        return values
            .iter()
            .map(|x| {
                if x.is_finite() {
                    format!("{x:.4e}")
                } else {
                    float(*x)
                }
            })
            .collect();
    }
    let decimals = (1..=4)
        .find(|d| {
            let unit = 10f64.powi(*d);
            finite().all(|x| ((x * unit).round() / unit - x).abs() <= x.abs() * 1e-6)
        })
        .unwrap_or(4) as usize;
    values
        .iter()
        .map(|x| {
            if x.is_finite() {
                format!("{x:.decimals$}")
            } else {
                float(*x)
            }
        })
        .collect()
}

fn float(x: f64) -> String {
    match x {
        x if x.is_nan() => "nan".into(),
        x if x == f64::INFINITY => "inf".into(),
        x if x == f64::NEG_INFINITY => "-inf".into(),
        x => format!("{x:.4}"),
    }
}

/// How the cells stand.
struct Layout {
    /// Whether long axes have their middle left out.
    is_short: bool,
    /// Cells of the last axis in one line.
    per_line: usize,
}

impl Layout {
    fn write_axis<'a>(
        &self,
        text: &mut String,
        shape: &[i32],
        depth: usize,
        cells: &mut impl Iterator<Item = &'a String>,
    ) {
        let Some((size, inner)) = shape.split_first() else {
            text.push_str(cells.next().map_or("", |cell| cell));
            return;
        };
        let next_line = |count: usize| format!(",{}{}", "\n".repeat(count), " ".repeat(depth + 1));
        let is_cut = self.is_short && *size > LONGEST;
        let shown = if is_cut { 2 * EDGE } else { *size };
        text.push('[');
        for i in 0..shown {
            if i > 0 {
                text.push_str(&match inner.len() {
                    0 if (i as usize).is_multiple_of(self.per_line) => next_line(1),
                    0 => ", ".into(),
                    count => next_line(count),
                });
            }
            if is_cut && i == EDGE {
                text.push_str("...");
                text.push_str(&match inner.len() {
                    0 => ", ".into(),
                    count => next_line(count),
                });
            }
            self.write_axis(text, inner, depth + 1, cells);
        }
        text.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_looks_like_numpy_s() {
        let a = Array::from_slice(&[1.0f32, 2.5, -3.0, 4.0], &[2, 2]);
        assert_eq!(
            show(&a).unwrap(),
            "[[ 1.0,  2.5],\n [-3.0,  4.0]]\nshape [2, 2], float32"
        );
    }

    #[test]
    fn a_short_array_is_whole_and_a_long_row_is_broken() {
        let a = Array::arange::<_, i32>(None, 40, None).unwrap();
        let text = show(&a).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(
            lines[0].starts_with("[ 0,  1,") && lines[0].ends_with("18,"),
            "{text}"
        );
        assert!(lines[1].starts_with(" 19, 20,"), "{text}");
        assert!(lines[2].ends_with("39]"), "{text}");
    }

    #[test]
    fn long_axes_are_shortened_and_oddities_visible() {
        let a = Array::arange::<_, i32>(None, 1000, None).unwrap();
        assert_eq!(
            show(&a).unwrap(),
            "[  0,   1,   2, ..., 997, 998, 999]\nshape [1000], int32"
        );
        let odd = Array::from_slice(&[f32::NAN, f32::INFINITY, 1.0], &[3]);
        assert_eq!(show(&odd).unwrap(), "[nan, inf, 1.0]\nshape [3], float32");
        assert_eq!(show(&Array::from_f32(2.0)).unwrap(), "2.0");
        assert_eq!(show(&Array::from_f32(1.25e-7)).unwrap(), "1.25e-7");
        assert_eq!(show(&Array::from_f32(f32::NAN)).unwrap(), "nan");
        assert_eq!(show(&Array::from_bool(true)).unwrap(), "true");
        let empty = Array::from_slice::<f32>(&[], &[0]);
        assert_eq!(show(&empty).unwrap(), "[]\nshape [0], float32");
    }
}
