//! How far two texts are from each other, by characters.

use rapidfuzz::distance::{indel, levenshtein};

/// The fewest characters to insert, delete or replace that make one text the other.
pub fn edit_distance(a: &str, b: &str) -> usize {
    levenshtein::distance(a.chars(), b.chars())
}

/// Twice the length of the longest common subsequence over the length of both: 1 for equal texts, 0
/// for those without a common character.
pub fn lcs_ratio(a: &str, b: &str) -> f64 {
    indel::normalized_similarity(a.chars(), b.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_characters() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("größe", "grösse"), 2);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(lcs_ratio("abcd", "abcd"), 1.0);
        assert_eq!(lcs_ratio("", ""), 1.0);
        assert_eq!(lcs_ratio("ab", "cd"), 0.0);
        // The longest common subsequence of these is "acd".
        assert!((lcs_ratio("abcd", "acbd") - 0.75).abs() < 1e-12);
    }
}
