//! Colours that say how large a value is.

/// Stops of viridis, by van der Walt and Smith: evenly brighter, also for colour-blind eyes and
/// in print.
const STOPS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// The colour of a place from 0 to 1.
pub fn heat(place: f64) -> [u8; 3] {
    let at = place.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let first = (at as usize).min(STOPS.len() - 2);
    let part = at - first as f64;
    let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
    let (a, b) = (STOPS[first], STOPS[first + 1]);
    [mix(a[0], b[0]), mix(a[1], b[1]), mix(a[2], b[2])]
}

#[cfg(test)]
mod tests {
    use super::heat;

    #[test]
    fn the_ends_are_the_first_and_the_last_stop() {
        assert_eq!(heat(0.0), [68, 1, 84]);
        assert_eq!(heat(0.5), [33, 144, 141]);
        assert_eq!(heat(1.0), [253, 231, 37]);
    }
}
