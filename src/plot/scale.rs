//! From data to a frame, with round numbers on the axes.

/// The range of one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub low: f64,
    pub high: f64,
}

impl Scale {
    /// The range of the finite values; where there are none, or one only, one with room around it.
    pub fn around(values: impl Iterator<Item = f64>) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
        if low > high {
            return Self {
                low: 0.0,
                high: 1.0,
            };
        }
        if low < high {
            return Self { low, high };
        }
        let room = match low.abs() {
            0.0 => 1.0,
            size => (size * 0.5).max(f64::MIN_POSITIVE),
        };
        Self {
            low: (low - room).max(f64::MIN),
            high: (high + room).min(f64::MAX),
        }
    }

    /// With a part of the range as room on both sides.
    pub fn with_room(self, part: f64) -> Self {
        let room = self.high * part - self.low * part;
        Self {
            low: (self.low - room).max(f64::MIN),
            high: (self.high + room).min(f64::MAX),
        }
    }

    /// Where a value lies, from 0 to 1.
    pub fn place(&self, value: f64) -> f64 {
        let size = self.high - self.low;
        let place = match size.is_finite() {
            true => (value - self.low) / size,
            // Half of a range that overflows does not.
            false => (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0),
        };
        place.clamp(0.0, 1.0)
    }

    /// About `count` round numbers inside the range, each with its text.
    pub fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        let count = count.max(1) as f64;
        let raw = self.high / count - self.low / count;
        let power = exponent(raw);
        let steps = [(1, 0), (2, 0), (5, 0), (1, 1)].map(|(digit, more)| (digit, power + more));
        let step = steps
            .into_iter()
            .map(|(digit, power)| (round(digit, power), power))
            .find(|(step, _)| *step >= raw * (1.0 - 1e-6));
        let Some((step, power)) = step.filter(|(step, _)| step.is_finite() && *step > 0.0) else {
            return Vec::new();
        };
        // A tick at an end of the range may be a rounding error outside it.
        let first = (self.low / step - 1e-6).ceil();
        let values = (0..=3 * count as u32).map(|i| (first + f64::from(i)) * step);
        let end = self.high + step * 1e-6;
        let mut values: Vec<f64> = values.take_while(|value| *value <= end).collect();
        values.dedup();
        let largest = self.low.abs().max(self.high.abs());
        values
            .into_iter()
            .map(|value| {
                (
                    value.clamp(self.low, self.high),
                    label(value, power, largest),
                )
            })
            .collect()
    }
}

/// `digit` times ten to the `power`, as exact as a literal.
fn round(digit: i32, power: i32) -> f64 {
    format!("{digit}e{power}").parse().unwrap_or(f64::NAN)
}

/// The power of ten of a number's first digit.
fn exponent(value: f64) -> i32 {
    let text = format!("{value:e}");
    let power = text
        .split_once('e')
        .and_then(|(_, power)| power.parse().ok());
    power.unwrap_or(0)
}

/// Numbers of these sizes are written out, others with a power of ten.
fn is_plain(size: f64) -> bool {
    (1e-3..1e6).contains(&size)
}

/// The text of a tick, with the digits that tell it from its neighbours.
fn label(value: f64, step_power: i32, largest: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if is_plain(largest) {
        let decimals = (-step_power).clamp(0, 9) as usize;
        return format!("{value:.decimals$}");
    }
    scientific(value, (exponent(value) - step_power).clamp(0, 9) as usize)
}

/// A number in about four digits.
pub fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        return value.to_string();
    }
    if !is_plain(value.abs()) {
        return scientific(value, 3);
    }
    let decimals = (3 - exponent(value)).clamp(0, 6) as usize;
    trim(&format!("{value:.decimals$}")).to_string()
}

fn scientific(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}e{power}", trim(digits))
}

fn trim(digits: &str) -> &str {
    match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64, count: usize) -> Vec<String> {
        let ticks = Scale { low, high }.ticks(count);
        ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_told_apart() {
        assert_eq!(texts(0.0, 1.0, 5), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(-3.0, 7.0, 3), ["0", "5"]);
        assert_eq!(texts(0.0, 2e-6, 2), ["0", "1e-6", "2e-6"]);
        assert_eq!(texts(0.0, 3e6, 3), ["0", "1e6", "2e6", "3e6"]);
        assert_eq!(texts(100.1, 100.3, 2), ["100.1", "100.2", "100.3"]);
    }

    #[test]
    fn any_range_has_ticks_inside_it_and_places_from_0_to_1() {
        let ends = [
            0.0,
            1e-320,
            1e-300,
            1e-9,
            0.1,
            1.0,
            1.0000000001,
            7.3,
            1e15,
            1e300,
            f64::MAX,
        ];
        let both = ends.iter().flat_map(|v| [*v, -*v]);
        let all: Vec<f64> = both.collect();
        for low in &all {
            for high in &all {
                let scale = Scale::around([*low, *high].into_iter());
                assert!(scale.low < scale.high, "{scale:?}");
                assert_eq!(
                    (scale.place(scale.low), scale.place(scale.high)),
                    (0.0, 1.0)
                );
                let ticks = scale.ticks(5);
                assert!(ticks.len() <= 16, "{scale:?} {ticks:?}");
                for (value, text) in ticks {
                    assert!(
                        scale.low <= value && value <= scale.high,
                        "{scale:?} {text}"
                    );
                    assert!(text.len() <= 18, "{text}");
                }
            }
        }
    }

    #[test]
    fn short_numbers() {
        let numbers = [
            0.0,
            -0.25,
            1234.56,
            123456.7,
            0.00012345,
            1e-300,
            1e6,
            f64::NAN,
        ];
        let texts = numbers.map(short);
        assert_eq!(
            texts,
            [
                "0", "-0.25", "1235", "123457", "1.234e-4", "1e-300", "1e6", "NaN"
            ]
        );
    }
}
