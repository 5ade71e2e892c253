//! A text to learn from.

/// Token ids, and which of them are learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    pub ids: Vec<i32>,
    /// For each token, whether it is a target. The first one never is: nothing predicts it.
    pub learnt: Vec<bool>,
}
