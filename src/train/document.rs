//! A text to learn from.

/// Token ids, and which of them are to be learnt: predicted from those before them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    pub ids: Vec<i32>,
    /// One for each id; the first never is, because nothing comes before it.
    pub learnt: Vec<bool>,
}

impl Document {
    /// Ids of which those after the first are learnt where `learnt` says so.
    pub fn new(ids: Vec<i32>, mut learnt: Vec<bool>) -> Self {
        learnt.resize(ids.len(), false);
        learnt.iter_mut().take(1).for_each(|first| *first = false);
        Self { ids, learnt }
    }

    /// A prompt, of which nothing is learnt, and a completion, of which everything is.
    pub fn continued(prompt: &[i32], completion: &[i32]) -> Self {
        let learnt = (0..prompt.len() + completion.len()).map(|i| i >= prompt.len());
        Self::new([prompt, completion].concat(), learnt.collect())
    }

    /// How many tokens are learnt.
    pub fn num_learnt(&self) -> usize {
        self.learnt.iter().filter(|learnt| **learnt).count()
    }

    /// Forgets what comes after so many tokens.
    pub fn truncate(&mut self, length: usize) {
        self.ids.truncate(length);
        self.learnt.truncate(length);
    }
}
