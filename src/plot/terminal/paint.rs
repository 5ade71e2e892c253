//! Colours of a terminal, by the numbers of the palette of 256.

/// Colours for curves and bars: each has a contrast of at least 3 to black and to white, and
/// neighbours differ in brightness or hue for colour-blind eyes too.
pub const CURVES: [u8; 7] = [32, 166, 29, 169, 136, 98, 244];

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

/// The nearest colour of the cube of 6 x 6 x 6.
pub fn nearest(rgb: [u8; 3]) -> u8 {
    let level = |value: u8| {
        let distance = |i: &u8| LEVELS[*i as usize].abs_diff(value);
        (0..6u8).min_by_key(distance).unwrap_or(0)
    };
    16 + 36 * level(rgb[0]) + 6 * level(rgb[1]) + level(rgb[2])
}

/// The brightness of each step of the cube.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance by WCAG 2.
    fn luminance(colour: u8) -> f64 {
        let cube = |i: u8| f64::from(LEVELS[i as usize]) / 255.0;
        let rgb = match colour {
            232.. => [f64::from(8 + 10 * (colour - 232)) / 255.0; 3],
            _ => {
                let i = colour - 16;
                [cube(i / 36), cube(i / 6 % 6), cube(i % 6)]
            }
        };
        let linear = rgb.map(|v| match v <= 0.03928 {
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
            assert!(
                on_white >= 3.0 && on_black >= 3.0,
                "{colour}: {on_white} {on_black}"
            );
        }
    }

    #[test]
    fn the_nearest_colour_of_a_colour_of_the_cube_is_itself() {
        assert_eq!(nearest([0, 0, 0]), 16);
        assert_eq!(nearest([255, 255, 255]), 231);
        assert_eq!(nearest([0, 135, 215]), 32);
    }
}
