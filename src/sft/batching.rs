//! Which documents are learnt together, and when.
//!
//! The plan of an epoch is a function of the lengths, the settings, the seed and the number of the
//! epoch, so that a resumed run finds its place by the number of its step.

use super::settings::SftSettings;
use crate::mlx::random::{Host, derive};
use std::collections::BTreeMap;

/// Batches that documents of similar length are looked for in: more give less padding, fewer give
/// more chance in what is learnt together.
const WINDOW: usize = 50;

/// The batches of one epoch: every document is in it once.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Batches of rows of one or, packed, several documents.
    pub batches: Vec<Vec<Vec<usize>>>,
    per_step: usize,
}

impl Epoch {
    /// The plan of an epoch for documents of these lengths.
    pub fn plan(lengths: &[usize], settings: &SftSettings, epoch: u64) -> Self {
        let mut host = Host::new(derive(derive(settings.seed, 0), epoch));
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        host.shuffle(&mut order);
        let size = settings.batch_size;
        let rows: Vec<Vec<usize>> = if settings.packing {
            let shuffled: Vec<usize> = order.iter().map(|i| lengths[*i]).collect();
            let packed = pack(&shuffled, settings.max_length).into_iter();
            let mut rows: Vec<Vec<usize>> = packed
                .map(|row| row.into_iter().map(|i| order[i]).collect())
                .collect();
            host.shuffle(&mut rows);
            rows
        } else {
            if settings.group_by_length {
                for window in order.chunks_mut(size * WINDOW) {
                    window.sort_by_key(|i| std::cmp::Reverse(lengths[*i]));
                }
            }
            order.into_iter().map(|i| vec![i]).collect()
        };
        let mut batches: Vec<Vec<Vec<usize>>> = rows.chunks(size).map(<[_]>::to_vec).collect();
        if settings.group_by_length && !settings.packing {
            host.shuffle(&mut batches);
        }
        Self {
            batches,
            per_step: settings.gradient_accumulation_steps,
        }
    }

    /// The steps of the epoch; the last may have fewer batches than the others.
    pub fn num_steps(&self) -> u64 {
        self.batches.len().div_ceil(self.per_step) as u64
    }

    /// The batches of a step of the epoch.
    pub fn step(&self, index: u64) -> &[Vec<Vec<usize>>] {
        let mut steps = self.batches.chunks(self.per_step);
        steps.nth(index as usize).unwrap_or_default()
    }
}

/// Documents of these lengths in rows of up to `size` tokens: the longest first, each where the least
/// space is left over (best-fit decreasing, as TRL's `bfd`).
pub fn pack(lengths: &[usize], size: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(lengths[*i]));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    // Rows by the space that is left in them.
    let mut open: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for document in order {
        let length = lengths[document].min(size);
        let space = open.range(length..).next().map(|(space, _)| *space);
        let (row, space) = match space.and_then(|space| Some((open.get_mut(&space)?.pop()?, space)))
        {
            Some(found) => found,
            None => {
                rows.push(Vec::new());
                (rows.len() - 1, size)
            }
        };
        if open.get(&space).is_some_and(Vec::is_empty) {
            open.remove(&space);
        }
        rows[row].push(document);
        if space > length {
            open.entry(space - length).or_default().push(row);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl Fn(&mut SftSettings)) -> SftSettings {
        let mut settings = SftSettings {
            batch_size: 3,
            max_length: 16,
            ..SftSettings::default()
        };
        change(&mut settings);
        settings
    }

    fn lengths(n: usize) -> Vec<usize> {
        (0..n).map(|i| 1 + i * 7 % 16).collect()
    }

    /// TRL's vectors of `bfd`.
    #[test]
    fn packing_is_best_fit_decreasing() {
        assert_eq!(pack(&[3, 4, 1], 4), [vec![1], vec![0, 2]]);
        assert_eq!(pack(&[5, 2, 4, 1], 4), [vec![0], vec![2], vec![1, 3]]);
        // The best fit is not the first: 2 goes where 2 is left, not where 3 is.
        assert_eq!(pack(&[7, 8, 2], 10), [vec![1, 2], vec![0]]);
        assert_eq!(pack(&[], 4), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn every_document_is_in_an_epoch_once() {
        let lengths = lengths(1000);
        for packing in [false, true] {
            for group_by_length in [false, true] {
                let settings = settings(|s| {
                    (s.packing, s.group_by_length) = (packing, group_by_length);
                    s.gradient_accumulation_steps = 4;
                });
                let plans = [0, 1].map(|epoch| Epoch::plan(&lengths, &settings, epoch));
                assert_ne!(plans[0], plans[1]);
                assert_eq!(plans[0].num_steps(), plans[1].num_steps());
                assert_eq!(plans[0], Epoch::plan(&lengths, &settings, 0));
                for plan in plans {
                    let steps = (0..plan.num_steps()).flat_map(|i| plan.step(i));
                    let rows: Vec<&Vec<usize>> = steps.flatten().collect();
                    let mut seen: Vec<usize> =
                        rows.iter().flat_map(|r| r.iter().copied()).collect();
                    seen.sort_unstable();
                    assert!(seen.into_iter().eq(0..1000));
                    let tokens = |row: &Vec<usize>| row.iter().map(|i| lengths[*i]).sum::<usize>();
                    assert!(rows.iter().all(|row| tokens(row) <= 16));
                    assert!(packing || rows.iter().all(|row| row.len() == 1));
                    assert!(plan.step(plan.num_steps()).is_empty());
                }
            }
        }
    }

    #[test]
    fn grouping_by_length_saves_padding() {
        let lengths = lengths(150);
        let padding = |group_by_length: bool| -> usize {
            let plan = Epoch::plan(
                &lengths,
                &settings(|s| s.group_by_length = group_by_length),
                0,
            );
            let batches = plan.batches.iter().map(|batch| {
                let all: Vec<usize> = batch.iter().flatten().map(|i| lengths[*i]).collect();
                let widest = all.iter().max().copied().unwrap_or(0);
                widest * all.len() - all.iter().sum::<usize>()
            });
            batches.sum()
        };
        // In one window of fifty batches only the batches between two lengths are padded.
        assert!(padding(true) <= 2 * 15 && padding(false) > 300);
    }
}
