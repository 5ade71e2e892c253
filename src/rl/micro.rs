//! The rows of a step in parts that fit in memory.

use super::rollout::Rollout;
use super::settings::GrpoSettings;
use crate::train::Batch;

/// Rows of a rollout that are forwarded together, by prompt: where prompts are shared, one forward
/// of each serves its rows.
#[derive(Clone, Debug)]
pub(super) struct MicroBatch {
    /// Indices of outputs; those of a prompt are adjacent.
    pub rows: Vec<usize>,
    pub batch: Batch,
}

/// Some of a step's outputs in `gradient_accumulation_steps` parts of nearly equal size, or, where a part
/// may hold so many tokens, in as many parts as that takes.
///
/// In parts, outputs are sorted by length, so that little is padding; the sum of the gradients does
/// not depend on the order.
pub(super) fn micro_batches(
    rollout: &Rollout,
    mut rows: Vec<usize>,
    settings: &GrpoSettings,
) -> Vec<MicroBatch> {
    let budget = settings.micro_batch_tokens;
    let sorted = settings.gradient_accumulation_steps > 1 || budget > 0;
    if sorted {
        let longest = |group: usize| {
            let of_group = rollout.outputs.iter().filter(|o| o.group == group);
            let completions = of_group.map(|o| o.completion.token_ids.len());
            rollout.prompt_ids[group].len() + completions.max().unwrap_or(0)
        };
        let lengths: Vec<usize> = (0..rollout.prompt_ids.len()).map(longest).collect();
        rows.sort_by_key(|row| {
            let output = &rollout.outputs[*row];
            let own = output.completion.token_ids.len();
            match settings.shared_prefix {
                true => (lengths[output.group], output.group, own),
                false => (rollout.prompt_ids[output.group].len() + own, 0, 0),
            }
        });
    }
    let parts = match budget {
        0 => evenly(rows, settings.gradient_accumulation_steps),
        budget => within(rows, rollout, settings, budget),
    };
    parts
        .into_iter()
        .map(|rows| MicroBatch {
            batch: batch(rollout, &rows, settings),
            rows,
        })
        .collect()
}

fn evenly(rows: Vec<usize>, parts: usize) -> Vec<Vec<usize>> {
    let (count, parts) = (rows.len(), parts.min(rows.len()));
    (0..parts)
        .map(|i| rows[i * count / parts..(i + 1) * count / parts].to_vec())
        .collect()
}

/// As many rows as `budget` tokens allow, padding included; at least one.
fn within(
    rows: Vec<usize>,
    rollout: &Rollout,
    settings: &GrpoSettings,
    budget: usize,
) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for row in rows {
        if let Some(part) = parts.last_mut() {
            part.push(row);
            if size(rollout, part, settings.shared_prefix) <= budget {
                continue;
            }
            part.pop();
        }
        parts.push(vec![row]);
    }
    parts
}

/// Tokens that a forward of some rows takes, padding included.
fn size(rollout: &Rollout, rows: &[usize], shared: bool) -> usize {
    let completion = |row: &usize| rollout.outputs[*row].completion.token_ids.len();
    let prompt = |row: &usize| rollout.prompt_ids[rollout.outputs[*row].group].len();
    let widest = |f: &dyn Fn(&usize) -> usize| rows.iter().map(f).max().unwrap_or(0);
    if !shared {
        return rows.len() * widest(&|row| prompt(row) + completion(row));
    }
    let mut groups: Vec<usize> = rows.iter().map(|row| rollout.outputs[*row].group).collect();
    groups.dedup();
    groups.len() * widest(&prompt) + rows.len() * widest(&completion)
}

fn batch(rollout: &Rollout, rows: &[usize], settings: &GrpoSettings) -> Batch {
    let completion = |row: usize| rollout.outputs[row].completion.token_ids.as_slice();
    // The load of experts is counted for every token of every row, so each is forwarded.
    if !settings.shared_prefix || settings.router_aux_loss_coef > 0.0 {
        let prompt = |row: usize| rollout.prompt_ids[rollout.outputs[row].group].as_slice();
        let pairs: Vec<(&[i32], &[i32])> = rows
            .iter()
            .map(|row| (prompt(*row), completion(*row)))
            .collect();
        return Batch::new(&pairs);
    }
    let of_one_prompt =
        |a: &usize, b: &usize| rollout.outputs[*a].group == rollout.outputs[*b].group;
    let groups: Vec<(&[i32], Vec<&[i32]>)> = rows
        .chunk_by(of_one_prompt)
        .map(|rows| {
            let prompt = rollout.prompt_ids[rollout.outputs[rows[0]].group].as_slice();
            (prompt, rows.iter().map(|row| completion(*row)).collect())
        })
        .collect();
    Batch::shared(&groups)
}
