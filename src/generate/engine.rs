//! Continuous batching: requests wait, are forwarded, decode together, and make room for others.
//!
//! Every distinct prompt is forwarded once and its cache serves all its completions. Prompts of
//! one length need no padding among them, and no mask. While rows decode, the prompts of others
//! are forwarded between their steps, a chunk at a time.

use super::live::{Live, Row};
use super::settings::{EngineSettings, GenerateSettings, Generated, Observer, Request};
use super::step::prefill_chunk;
use crate::cache::{self, Cache, Kind};
use crate::error::{Error, Result};
use crate::mlx::{Array, interrupt, memory};
use crate::models::Qwen3;
use crate::sampling::{RowSettings, Sampler};
use crate::tensor::{Side, pad_sequences};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Tokens of different prompts that are forwarded at once, where several prompts have one length.
const PREFILL_TOKENS: usize = 8192;

/// Steps after which memory that MLX keeps for arrays of sizes gone by is given back.
const TICKS_TO_CLEAR: usize = 512;

/// Completes every prompt `num_samples` times; the completions of a prompt are adjacent.
///
/// A row's randomness depends on the seed and its number only. An interrupt ends all rows with
/// what they have.
///
/// # Errors
/// A bad setting, an empty prompt, an id outside the vocabulary, a text longer than the model's;
/// all before anything is computed.
pub fn generate(
    model: &Qwen3,
    prompts: &[Vec<i32>],
    settings: &GenerateSettings,
    observer: &mut dyn Observer,
) -> Result<Vec<Generated>> {
    settings.check()?;
    let requests: Vec<Request> = prompts
        .iter()
        .enumerate()
        .flat_map(|(i, prompt)| settings.requests(prompt, i * settings.num_samples))
        .collect();
    complete(model, &requests, &settings.engine, observer)
}

/// Completes requests of any kind together, each as it would be alone.
///
/// # Errors
/// As for [`generate`].
pub fn complete(
    model: &Qwen3,
    requests: &[Request],
    settings: &EngineSettings,
    observer: &mut dyn Observer,
) -> Result<Vec<Generated>> {
    settings.check()?;
    requests.iter().try_for_each(|one| one.check(model))?;
    let sampling: Vec<RowSettings> = requests.iter().map(|r| r.sampling.clone()).collect();
    let context = match sampling.is_empty() {
        true => None,
        false => Sampler::rows(&sampling)?.context(),
    };
    let mut engine = Engine {
        model,
        requests,
        settings,
        context,
        waiting: groups(requests, settings.max_batch_size),
        filling: VecDeque::new(),
        filled: Vec::new(),
        live: Vec::new(),
        done: vec![Generated::nothing(); requests.len()],
    };
    let mut ticks = 0;
    while engine.has_work() {
        engine.tick(observer)?;
        ticks += 1;
        if ticks % TICKS_TO_CLEAR == 0 {
            memory::clear_cache()?;
        }
    }
    Ok(engine.done)
}

/// The numbers of requests that have one prompt.
type Group = Vec<usize>;

/// Requests by their prompts, in the order in which they came; no group is larger than a batch.
fn groups(requests: &[Request], most: usize) -> VecDeque<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut open: HashMap<&[i32], usize> = HashMap::new();
    for (i, request) in requests.iter().enumerate() {
        match open.get(request.prompt.as_slice()) {
            Some(group) if groups[*group].len() < most => groups[*group].push(i),
            _ => {
                open.insert(&request.prompt, groups.len());
                groups.push(vec![i]);
            }
        }
    }
    groups.into()
}

/// Prompts of one length that are being forwarded.
struct Filling {
    groups: Vec<Group>,
    ids: Array,
    cache: Cache,
    /// The first token that was not forwarded yet.
    start: i32,
}

struct Engine<'a> {
    model: &'a Qwen3,
    requests: &'a [Request],
    settings: &'a EngineSettings,
    /// How much of a text the penalties of any request look at.
    context: Option<usize>,
    waiting: VecDeque<Group>,
    filling: VecDeque<Filling>,
    /// Those of an admission whose prompts are done, while others of it are not.
    filled: Vec<Live<'a>>,
    live: Vec<Live<'a>>,
    done: Vec<Generated>,
}

impl<'a> Engine<'a> {
    fn has_work(&self) -> bool {
        let filling = !self.filling.is_empty() || !self.filled.is_empty();
        filling || !self.live.is_empty() || !self.waiting.is_empty()
    }

    /// One step of what decodes, and one chunk of what is forwarded.
    fn tick(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let go_on = !interrupt::is_set();
        if go_on {
            self.admit()?;
        } else {
            self.waiting.clear();
            self.filling.clear();
            self.live.append(&mut self.filled);
        }
        self.decode(go_on, observer)?;
        match self.fill() {
            // The next tick ends everything.
            Err(Error::Interrupted) => Ok(()),
            other => other,
        }
    }

    /// Takes waiting groups in once there is room for a good part of a batch.
    fn admit(&mut self) -> Result<()> {
        if !self.filling.is_empty() || !self.filled.is_empty() || self.waiting.is_empty() {
            return Ok(());
        }
        let most = self.settings.max_batch_size;
        let busy: usize = self.live.iter().map(|live| live.rows.len()).sum();
        let mut room = most.saturating_sub(busy);
        if busy > 0 && room < most.div_ceil(4) {
            return Ok(());
        }
        let mut by_length: BTreeMap<usize, Vec<Group>> = BTreeMap::new();
        while let Some(group) = self.waiting.front()
            && group.len() <= room
            && let Some(group) = self.waiting.pop_front()
        {
            room -= group.len();
            let length = self.requests[group[0]].prompt.len();
            by_length.entry(length).or_default().push(group);
        }
        for (length, mut groups) in by_length {
            let at_once = (PREFILL_TOKENS / length.min(self.settings.prefill_step_size)).max(1);
            while !groups.is_empty() {
                let some: Vec<Group> = groups.drain(..at_once.min(groups.len())).collect();
                let filling = self.begin(some, length)?;
                self.filling.push_back(filling);
            }
        }
        Ok(())
    }

    /// Prompts of one length, with room for what will follow them.
    fn begin(&self, groups: Vec<Group>, length: usize) -> Result<Filling> {
        let prompts: Vec<&[i32]> = groups
            .iter()
            .map(|group| self.requests[group[0]].prompt.as_slice())
            .collect();
        let rows = groups.iter().flatten();
        let longest = rows.map(|row| self.requests[*row].max_tokens).max();
        let reserve = length + longest.unwrap_or(0).min(256);
        let layers = self.model.layers.len();
        Ok(Filling {
            ids: pad_sequences(&prompts, 0, Side::Right),
            cache: self.settings.cache.cache(layers, reserve as i32)?,
            start: 0,
            groups,
        })
    }

    fn decode(&mut self, go_on: bool, observer: &mut dyn Observer) -> Result<()> {
        for live in &mut self.live {
            for row in live.tick(self.model, go_on, observer)? {
                self.done[row.number] = row.done;
            }
        }
        self.live.retain(|live| !live.rows.is_empty());
        Ok(())
    }

    /// Forwards a chunk of a prompt; when all prompts of an admission are done, their rows begin
    /// to decode with the others.
    fn fill(&mut self) -> Result<()> {
        let Some(mut filling) = self.filling.pop_front() else {
            return Ok(());
        };
        let chunk = self.settings.prefill_step_size;
        let Filling {
            ids, cache, start, ..
        } = &mut filling;
        match prefill_chunk(self.model, cache, ids, start, chunk)? {
            None => self.filling.push_front(filling),
            Some(logits) => self.filled.push(self.started(filling, &logits)?),
        }
        if self.filling.is_empty() {
            self.live.append(&mut self.filled);
            // Rows of other kinds of caches cannot be padded, and decode side by side.
            if self.settings.cache == Kind::Full {
                let live = std::mem::take(&mut self.live);
                self.live.extend(Live::join(live)?);
            }
        }
        Ok(())
    }

    /// A row of the cache and of the logits for each completion, and its first token.
    fn started(&self, filling: Filling, logits: &Array) -> Result<Live<'a>> {
        let Filling {
            groups, mut cache, ..
        } = filling;
        let (mut copies, mut rows) = (Vec::new(), Vec::new());
        for (i, group) in groups.iter().enumerate() {
            for number in group {
                copies.push(i as i32);
                rows.push(Row::new(*number, &self.requests[*number]));
            }
        }
        if copies.len() == groups.len() {
            return Live::start(rows, cache, logits, self.context);
        }
        cache::select(&mut cache, &copies)?;
        let index = Array::from_slice(&copies, &[copies.len() as i32]);
        Live::start(rows, cache, &logits.take_axis(&index, 0)?, self.context)
    }
}
