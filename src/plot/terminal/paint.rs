//! Colours of a terminal, by the numbers of the palette of 256.

/// Colours for curves and bars: each has a contrast of at least 3 to black and to white, and
/// neighbours differ in brightness or hue for colour-blind eyes too.
pub const CURVES: [u8; 7] = [32, 166, 29, 169, 136, 98, 244];

/// Colours from low to high, each brighter than the one before.
const HEAT: [u8; 10] = [53, 54, 61, 31, 36, 71, 77, 149, 184, 227];

/// What stands for a cell that is not a number.
pub const NAN: u8 = 250;

/// A text in a colour, or as it is.
pub fn coloured(text: &str, colour: Option<u8>) -> String {
    match colour {
        Some(colour) if !text.trim().is_empty() => format!("\u{1b}[38;5;{colour}m{text}\u{1b}[0m"),
        _ => text.to_string(),
    }
}

/// The colour of a curve or bar, if there are to be colours.
pub fn curve(i: usize, colour: bool) -> Option<u8> {
    colour.then(|| CURVES[i % CURVES.len()])
}

/// Two cells, one above the other, in `count` characters.
pub fn halves((upper, lower): (Option<u8>, Option<u8>), count: usize) -> String {
    let text = |half: &str| half.repeat(count);
    match (upper, lower) {
        (Some(upper), Some(lower)) if upper == lower => coloured(&text("█"), Some(upper)),
        (Some(upper), Some(lower)) => {
            format!("\u{1b}[38;5;{upper};48;5;{lower}m{}\u{1b}[0m", text("▀"))
        }
        (Some(upper), None) => coloured(&text("▀"), Some(upper)),
        (None, Some(lower)) => coloured(&text("▄"), Some(lower)),
        (None, None) => text(" "),
    }
}

/// The colour of a place from 0 to 1, in steps like those of viridis.
pub fn heat(place: f64) -> u8 {
    HEAT[((place * HEAT.len() as f64) as usize).min(HEAT.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance by WCAG 2.
    fn luminance(colour: u8) -> f64 {
        let cube = |i: u8| [0.0, 95.0, 135.0, 175.0, 215.0, 255.0][i as usize] / 255.0;
        let rgb = match colour {
            232.. => [f64::from(8 + 10 * (colour - 232)) / 255.0; 3],
            _ => {
                let i = colour - 16;
                [cube(i / 36), cube(i / 6 % 6), cube(i % 6)]
            }
        };
        let linear = rgb.map(|v: f64| match v <= 0.03928 {
            true => v / 12.92,
            false => ((v + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn curves_are_readable_on_light_and_on_dark() {
        for colour in CURVES {
            let own = luminance(colour);
            let (on_white, on_black) = (1.05 / (own + 0.05), (own + 0.05) / 0.05);
            assert!(on_white >= 3.0 && on_black >= 3.0, "{colour}");
        }
    }

    #[test]
    fn larger_values_are_brighter() {
        assert!(HEAT.is_sorted_by(|a, b| luminance(*a) < luminance(*b)));
        assert_eq!((heat(0.0), heat(1.0)), (HEAT[0], HEAT[9]));
    }
}
