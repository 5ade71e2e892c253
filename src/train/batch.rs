//! Sequences laid out for one forward, and which of their tokens are learnt.

use super::Document;
use crate::cache::{self, LayerCache, Mask};
use crate::error::Result;
use crate::mlx::{Array, device};
use crate::models::Qwen3;
use crate::tensor::mask::causal_mask;
use crate::tensor::{Side, pad_sequences};
use mlx_rs::ops;

/// Fewer tokens are not worth a queue of their own.
const WORTH_A_LANE: usize = 256;

/// Sequences ready for one forward.
///
/// Rows begin at position 0 and are padded on the right, so that no mask is needed: a real token
/// never attends to what comes after it. The positions that predict targets are gathered before
/// the head, so no logits of prompts or padding are ever computed.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What is forwarded at once, next to each other where a machine has several cores: MLX computes
    /// most operations on one.
    pub(super) parts: Vec<Part>,
    /// `int32` `[N]`
    targets: Array,
    target_ids: Vec<i32>,
    /// `int32` `[M]`: which positions hold a token, not padding.
    tokens: Array,
    /// How many targets each row has.
    pub lengths: Vec<i32>,
}

/// Some rows of a batch.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub inputs: Inputs,
    /// `int32` `[n]`: which positions of the forward predict the targets of these rows; those of
    /// several forwards stand one after another.
    positions: Array,
}

/// What is forwarded.
#[derive(Clone, Debug)]
pub(super) enum Inputs {
    /// `[B, L]`, with a mask where a row holds several documents.
    Rows { ids: Array, mask: Option<Mask> },
    /// Prompts `[P, L]` once each, then completions `[B, T - 1]` behind them; none where all
    /// completions are of one token, which the prompt alone predicts.
    Shared {
        prompts: Array,
        completions: Option<Array>,
        lengths: Vec<i32>,
        counts: Vec<i32>,
    },
}

impl Batch {
    /// Pairs of prompt and completion ids; neither may be empty.
    pub fn new(pairs: &[(&[i32], &[i32])]) -> Self {
        let rows: Vec<Vec<i32>> = pairs
            .iter()
            .map(|(prompt, completion)| [*prompt, without_last(completion)].concat())
            .collect();
        let ids = padded(&rows);
        let mut layout = Layout::new(ids.dim(1));
        for ((prompt, completion), row) in pairs.iter().zip(&rows) {
            let first = layout.row(row.len());
            layout.targets(first + prompt.len() as i32 - 1, completion);
        }
        layout.finish(Inputs::Rows { ids, mask: None })
    }

    /// Prompts with the completions of each, which is forwarded once for all of them. The rows are
    /// those of all completions in turn, and all that is computed is the same as by
    /// [`new`](Self::new), for `P + G R` tokens in the place of `G (P + R)`.
    pub fn shared(groups: &[(&[i32], Vec<&[i32]>)]) -> Self {
        let lengths = |group: &(&[i32], Vec<&[i32]>)| -> usize {
            group.0.len() + group.1.iter().map(|c| c.len()).sum::<usize>()
        };
        let tokens: usize = groups.iter().map(lengths).sum();
        let lanes = device::lanes()
            .min(tokens / WORTH_A_LANE)
            .clamp(1, groups.len().max(1));
        let parts = groups.chunks(groups.len().div_ceil(lanes).max(1));
        Self::joined(parts.map(Self::shared_part).collect())
    }

    fn shared_part(groups: &[(&[i32], Vec<&[i32]>)]) -> Self {
        let prompts: Vec<Vec<i32>> = groups.iter().map(|(prompt, _)| prompt.to_vec()).collect();
        let completions = groups.iter().flat_map(|(_, completions)| completions);
        let known: Vec<Vec<i32>> = completions.map(|c| without_last(c).to_vec()).collect();
        let prompt_ids = padded(&prompts);
        let known_ids = padded(&known);
        // 1. Prompts come first in the list of positions.
        let mut layout = Layout::new(prompt_ids.dim(1));
        let mut last_of_prompt = Vec::new();
        for prompt in &prompts {
            last_of_prompt.push(layout.row(prompt.len()) + prompt.len() as i32 - 1);
        }
        // 2. A completion's first token is predicted by its prompt, the others by itself.
        layout.width = known_ids.dim(1);
        for ((_, completions), last) in groups.iter().zip(last_of_prompt) {
            for completion in completions {
                let first = layout.row(completion.len() - 1);
                layout.targets(last, &completion[..1]);
                layout.more_targets(first, &completion[1..]);
            }
        }
        layout.finish(Inputs::Shared {
            prompts: prompt_ids,
            completions: (known_ids.dim(1) > 0).then_some(known_ids),
            lengths: groups
                .iter()
                .map(|(prompt, _)| prompt.len() as i32)
                .collect(),
            counts: groups.iter().map(|(_, list)| list.len() as i32).collect(),
        })
    }

    /// One batch of the rows of several, which are still forwarded one by one.
    fn joined(mut batches: Vec<Self>) -> Self {
        if batches.len() == 1 {
            return batches.swap_remove(0);
        }
        let list = |of: &dyn Fn(&Self) -> Vec<i32>| {
            let all: Vec<i32> = batches.iter().flat_map(of).collect();
            Array::from_slice(&all, &[all.len() as i32])
        };
        Self {
            targets: list(&|batch| batch.target_ids.clone()),
            tokens: list(&|_| Vec::new()),
            target_ids: batches.iter().flat_map(|b| b.target_ids.clone()).collect(),
            lengths: batches.iter().flat_map(|b| b.lengths.clone()).collect(),
            parts: batches.into_iter().flat_map(|batch| batch.parts).collect(),
        }
    }

    /// Rows of one or several documents each; a document does not see the others of its row.
    ///
    /// Positions go on through a row: rotary embeddings make of them only distances, which are
    /// those of the document alone.
    pub fn documents(rows: &[Vec<&Document>]) -> Result<Self> {
        let joined: Vec<Vec<i32>> = rows
            .iter()
            .map(|row| row.iter().flat_map(|d| &d.ids).copied().collect())
            .collect();
        let ids = padded(&joined);
        let mut layout = Layout::new(ids.dim(1));
        for (documents, row) in rows.iter().zip(&joined) {
            let mut at = layout.row(row.len());
            layout.lengths.push(0);
            for document in documents {
                for (i, id) in document.ids.iter().enumerate().skip(1) {
                    if document.learnt.get(i) == Some(&true) {
                        layout.more_targets(at + i as i32 - 1, &[*id]);
                    }
                }
                at += document.ids.len() as i32;
            }
        }
        let packed = rows.iter().any(|row| row.len() > 1);
        let mask = match packed {
            true => Some(separate(rows, ids.dim(1))?),
            false => None,
        };
        Ok(layout.finish(Inputs::Rows { ids, mask }))
    }

    /// The widest row of targets.
    pub fn width(&self) -> i32 {
        self.lengths.iter().copied().max().unwrap_or(0)
    }

    /// All targets, `int32` `[N]`, row after row.
    pub fn targets(&self) -> &Array {
        &self.targets
    }

    /// The hidden states that predict the N targets. Where the choice of experts is wanted,
    /// `routed` gets its logits in each layer that has some.
    ///
    /// # Shapes
    /// - returns: `[N, E]`
    pub fn hidden(&self, model: &Qwen3, mut routed: Option<&mut Vec<Array>>) -> Result<Array> {
        self.in_lanes(|_, part| part.hidden(model, routed.as_deref_mut()))
    }

    /// What `f` makes of each part, as one array: each in a queue of its own, where there are several.
    pub(super) fn in_lanes(
        &self,
        mut f: impl FnMut(usize, &Part) -> Result<Array>,
    ) -> Result<Array> {
        if let [part] = self.parts.as_slice() {
            return f(0, part);
        }
        let parts = self.parts.iter().enumerate();
        let made: Vec<Array> = parts
            .map(|(i, part)| device::in_lane(i, || f(i, part)))
            .collect::<Result<_>>()?;
        Ok(ops::concatenate(&made, 0)?)
    }

    /// Values of the tokens that are no padding, of a forward of one stream.
    ///
    /// # Shapes
    /// - values: `[B, L, ..]`
    /// - returns: `[M, ..]`
    pub(super) fn unpadded(&self, values: &Array) -> Result<Array> {
        let flat = values.reshape(&[-1, values.dim(-1)])?;
        Ok(flat.take_axis(&self.tokens, 0)?)
    }

    /// Values of the N targets as rows, 0 after each row's end.
    ///
    /// # Shapes
    /// - values: `[N]`
    /// - returns: `[B, T]`, T being the widest row
    pub fn to_rows(&self, values: &Array) -> Result<Array> {
        let width = self.width();
        // Position 0 of the extended list is the 0 that fills the gaps.
        let mut index = Vec::with_capacity(self.lengths.len() * width as usize);
        let mut next = 1;
        for length in &self.lengths {
            index.extend((0..width).map(|t| if t < *length { next + t } else { 0 }));
            next += length;
        }
        let zero = Array::from_f32(0.0).reshape(&[1])?;
        let extended = ops::concatenate(&[&zero, values], 0)?;
        let shape = [self.lengths.len() as i32, width];
        Ok(extended.take_axis(Array::from_slice(&index, &shape), 0)?)
    }
}

impl Part {
    fn hidden(&self, model: &Qwen3, mut routed: Option<&mut Vec<Array>>) -> Result<Array> {
        let streams = match &self.inputs {
            Inputs::Rows { ids, mask: None } => vec![model.hidden_routed(ids, None, routed)?],
            Inputs::Rows {
                ids,
                mask: Some(mask),
            } => vec![model.hidden_masked(ids, mask, routed)?],
            Inputs::Shared { .. } => {
                let mut cache: cache::Cache = (model.layers.iter())
                    .map(|_| {
                        self.layer_cache()
                            .unwrap_or_else(|| Ok(LayerCache::full(0)))
                    })
                    .collect::<Result<_>>()?;
                self.ids()
                    .into_iter()
                    .map(|ids| model.hidden_routed(ids, Some(&mut cache), routed.as_deref_mut()))
                    .collect::<Result<_>>()?
            }
        };
        self.chosen(&streams)
    }

    /// The ids of each forward, `[B, L]`.
    pub fn ids(&self) -> Vec<&Array> {
        match &self.inputs {
            Inputs::Rows { ids, .. } => vec![ids],
            Inputs::Shared {
                prompts,
                completions,
                ..
            } => std::iter::once(prompts).chain(completions).collect(),
        }
    }

    /// A fresh cache for one layer, where several forwards need one.
    pub fn layer_cache(&self) -> Option<Result<LayerCache>> {
        match &self.inputs {
            Inputs::Rows { .. } => None,
            Inputs::Shared {
                lengths, counts, ..
            } => Some(LayerCache::shared(lengths.clone(), counts.clone())),
        }
    }

    /// The states that predict targets, of the hidden states of each forward `[B, L, E]`.
    ///
    /// # Shapes
    /// - returns: `[n, E]`
    pub fn chosen(&self, streams: &[Array]) -> Result<Array> {
        let flat: Vec<Array> = streams
            .iter()
            .map(|hidden| Ok(hidden.reshape(&[-1, hidden.dim(2)])?))
            .collect::<Result<_>>()?;
        let all = match flat.as_slice() {
            [one] => one.clone(),
            several => ops::concatenate(several, 0)?,
        };
        Ok(all.take_axis(&self.positions, 0)?)
    }
}

/// Positions of rows of one width, one row below another.
struct Layout {
    width: i32,
    next: i32,
    positions: Vec<i32>,
    targets: Vec<i32>,
    tokens: Vec<i32>,
    lengths: Vec<i32>,
}

impl Layout {
    fn new(width: i32) -> Self {
        Self {
            width,
            next: 0,
            positions: Vec::new(),
            targets: Vec::new(),
            tokens: Vec::new(),
            lengths: Vec::new(),
        }
    }

    /// Takes the next row, of so many tokens; where it begins.
    fn row(&mut self, tokens: usize) -> i32 {
        let start = self.next;
        self.tokens.extend(start..start + tokens as i32);
        self.next += self.width;
        start
    }

    /// The first targets of a row, predicted from `position` on.
    fn targets(&mut self, position: i32, ids: &[i32]) {
        self.lengths.push(0);
        self.more_targets(position, ids);
    }

    fn more_targets(&mut self, position: i32, ids: &[i32]) {
        self.positions.extend(position..position + ids.len() as i32);
        self.targets.extend_from_slice(ids);
        if let Some(length) = self.lengths.last_mut() {
            *length += ids.len() as i32;
        }
    }

    fn finish(self, inputs: Inputs) -> Batch {
        let list = |values: &[i32]| Array::from_slice(values, &[values.len() as i32]);
        Batch {
            parts: vec![Part {
                inputs,
                positions: list(&self.positions),
            }],
            targets: list(&self.targets),
            target_ids: self.targets,
            tokens: list(&self.tokens),
            lengths: self.lengths,
        }
    }
}

/// The last token predicts nothing, so it need not be forwarded.
fn without_last(completion: &[i32]) -> &[i32] {
    &completion[..completion.len().saturating_sub(1)]
}

fn padded(rows: &[Vec<i32>]) -> Array {
    let rows: Vec<&[i32]> = rows.iter().map(Vec::as_slice).collect();
    pad_sequences(&rows, 0, Side::Right)
}

/// The causal mask of documents that do not see each other; padding sees itself, so that no row of
/// the mask is empty.
///
/// # Shapes
/// - returns: bool `[B, 1, L, L]`
fn separate(rows: &[Vec<&Document>], width: i32) -> Result<Mask> {
    let mut number = Vec::with_capacity(rows.len() * width as usize);
    for row in rows {
        let start = number.len();
        for (i, document) in (0..).zip(row) {
            number.extend(document.ids.iter().map(|_| i));
        }
        number.resize(start + width as usize, -1);
    }
    let number = Array::from_slice(&number, &[rows.len() as i32, 1, width, 1]);
    let together = number.eq(number.swap_axes(-1, -2)?)?;
    let causal = causal_mask(width, &Default::default())?;
    Ok(Mask::Array(together.logical_and(causal)?))
}
