//! Caches: step by step as mlx-lm's, and what a query may see against a list of each row's tokens.

use crate::support::fixture;
use mlx_repl::cache::{LayerCache, Mask, Offsets};
use mlx_repl::error::Result;
use mlx_repl::mlx::Array;
use mlx_repl::tensor::{to_bool, to_f32};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The keys of `n` tokens for each row: numbers that count up, a quarter more in every next head.
/// A cache in few bits gets groups of equal numbers, of which nothing is lost.
fn keys(cache: &LayerCache, first: &[i32], n: i32, heads: i32) -> Array {
    let width = match cache {
        LayerCache::Quantized(_) => 32,
        _ => 1,
    };
    let mut keys = Vec::new();
    for start in first {
        for head in 0..heads {
            for key in *start..start + n {
                keys.extend(std::iter::repeat_n(key as f32 + 0.25 * head as f32, width));
            }
        }
    }
    Array::from_slice(&keys, &[first.len() as i32, heads, n, width as i32])
}

/// The keys of a row, `None` where zeros are.
type Found = Vec<Option<i32>>;

/// Gives tokens to a cache, values that tell whose they are too, and reads what each row gets back.
fn update(cache: &mut LayerCache, first: &[i32], n: i32, heads: i32) -> Result<Vec<Found>> {
    let keys = keys(cache, first, n, heads);
    let values = Array::from_f32(0.5).subtract(&keys)?;
    let (keys, values) = cache.update_and_fetch(&keys, &values)?.dense()?;
    let shape: Vec<usize> = keys.shape().iter().map(|n| *n as usize).collect();
    assert_eq!(keys.shape(), values.shape());
    assert_eq!(shape[..2], [first.len(), heads as usize]);
    let (keys, values) = (to_f32(&keys)?, to_f32(&values)?);
    let read = |b: usize, head: usize, t: usize| {
        let i = ((b * shape[1] + head) * shape[2] + t) * shape[3];
        if keys[i] == 0.0 && values[i] == 0.0 {
            return None;
        }
        assert_eq!(
            values[i],
            0.5 - keys[i],
            "the key and the value of two tokens"
        );
        Some((keys[i] - 0.25 * head as f32) as i32)
    };
    let row = |b: usize| {
        let token = |t| {
            let key = read(b, 0, t);
            (1..shape[1]).for_each(|head| assert_eq!(read(b, head, t), key, "head {head}"));
            key
        };
        (0..shape[2]).map(token).collect()
    };
    Ok((0..first.len()).map(row).collect())
}

// ----- what mlx-lm does

/// Lists of numbers in the fixture.
fn numbers(value: &Value) -> Vec<i32> {
    let list = value.as_array().unwrap().iter();
    list.map(|n| n.as_i64().unwrap() as i32).collect()
}

fn number(value: &Value) -> i32 {
    value.as_i64().unwrap() as i32
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_string()
}

/// Keys as the fixture has them: runs of successive ones as `[first, count]`.
fn runs(keys: &[Option<i32>]) -> Value {
    let mut runs: Vec<(Option<i32>, i32)> = Vec::new();
    for key in keys {
        match runs.last_mut() {
            Some((first, count)) if *key == first.map(|first| first + *count) => *count += 1,
            _ => runs.push((*key, 1)),
        }
    }
    let written = runs.into_iter().map(|run| match run {
        (Some(key), 1) => json!(key),
        (first, count) => json!([first, count]),
    });
    written.collect()
}

fn mask(cache: &LayerCache, n: i32, window: Option<i32>) -> Value {
    match cache.make_mask(n, window).unwrap() {
        Mask::None => Value::Null,
        Mask::Causal => json!("causal"),
        Mask::Array(mask) => {
            let bits = to_bool(&mask).unwrap().into_iter();
            let bits: String = bits.map(|bit| if bit { '1' } else { '0' }).collect();
            json!([mask.shape(), bits])
        }
    }
}

/// What can be seen of a cache, under the names of the fixture.
fn observed(cache: &LayerCache, probes: &Value) -> Value {
    let offset = match cache.offsets() {
        Offsets::Same(offset) => json!(offset),
        Offsets::PerRow(list) => json!(list),
    };
    let masks = probes.as_array().into_iter().flatten().map(|probe| {
        let window = probe[1].as_i64().map(|window| window as i32);
        json!([probe[0], probe[1], mask(cache, number(&probe[0]), window)])
    });
    json!({
        "offset": offset,
        "size": cache.size(),
        "capacity": cache.capacity(),
        "nbytes": cache.nbytes(),
        "is_trimmable": cache.is_trimmable(),
        "left_padding": cache.left_padding(),
        "masks": masks.collect::<Value>(),
    })
}

fn new_cache(step: &Value) -> Result<LayerCache> {
    let padding = || numbers(&step["left_padding"]);
    match step["kind"].as_str().unwrap() {
        "full" => Ok(LayerCache::full(0)),
        "rotating" => LayerCache::rotating(number(&step["max_size"]), number(&step["keep"])),
        "quantized" => LayerCache::quantized(number(&step["bits"]), number(&step["group_size"])),
        // A step writes down the padding that it leads to, which for a new cache is what it began with.
        "batch" => LayerCache::batch(padding()),
        kind => {
            assert_eq!(kind, "batch_rotating");
            LayerCache::batch_rotating(number(&step["max_size"]), padding())
        }
    }
}

/// Takes a step, and says which cache it changed or made, and what it returned.
fn take(caches: &mut HashMap<String, LayerCache>, step: &Value) -> Result<(String, Value)> {
    let name = |key: &str| text(&step[key]);
    let list = |key: &str| step.get(key).map(numbers);
    let mut returned = json!({});
    let made = match step["op"].as_str().unwrap() {
        "new" => new_cache(step)?,
        "extract" => caches[&name("on")].extract(number(&step["row"]))?,
        "merge" => {
            let names = step["list"].as_array().unwrap().iter().map(text);
            let list: Vec<&LayerCache> = names.map(|name| &caches[&name]).collect();
            LayerCache::merge(&list)?
        }
        op => {
            let other = step.get("other").map(|other| caches[&text(other)].clone());
            let cache = caches.get_mut(&name("on")).unwrap();
            match op {
                "update" => {
                    let rows = update(cache, &numbers(&step["first"]), number(&step["n"]), 1)?;
                    returned["tokens"] = rows.iter().map(|row| runs(row)).collect();
                }
                "trim" => returned["removed"] = json!(cache.trim(number(&step["n"]))?),
                "filter" => cache.filter(&numbers(&step["rows"]))?,
                "extend" => cache.extend(&other.unwrap())?,
                "finalize" => cache.finalize()?,
                op => {
                    assert_eq!(op, "prepare");
                    let (left, right) = (list("more_left_padding"), list("right_padding"));
                    let lengths = list("lengths");
                    cache.prepare(left.as_deref(), lengths.as_deref(), right.as_deref())?;
                }
            }
            return Ok((name("on"), returned));
        }
    };
    caches.insert(name("to"), made);
    Ok((name("to"), returned))
}

/// Compares what the step names with what was seen.
fn compare(step: &Value, seen: &Value, context: &str) {
    for (key, found) in seen.as_object().unwrap() {
        if let Some(expected) = step.get(key) {
            assert_eq!(found, expected, "`{key}` after {context}");
        }
    }
}

#[test]
fn every_step_is_as_in_mlx_lm() {
    for trace in fixture("caches.json")["traces"].as_array().unwrap() {
        let mut caches = HashMap::new();
        for (i, step) in trace["steps"].as_array().unwrap().iter().enumerate() {
            let context = format!("step {i} of {}: {step}", trace["name"]);
            let nothing = json!([]);
            let all = |caches: &HashMap<String, LayerCache>| -> Value {
                caches
                    .iter()
                    .map(|(name, cache)| (name.clone(), observed(cache, &nothing)))
                    .collect()
            };
            let before = all(&caches);
            match take(&mut caches, step) {
                Ok((name, returned)) => {
                    assert!(step.get("error").is_none(), "no error at {context}");
                    compare(step, &returned, &context);
                    let probes = step.get("masks").unwrap_or(&nothing);
                    compare(step, &observed(&caches[&name], probes), &context);
                }
                Err(error) => {
                    assert!(step.get("error").is_some(), "{error} at {context}");
                    assert_eq!(all(&caches), before, "{context}");
                }
            }
        }
    }
}

// ----- what a query should see

/// All tokens of a row, and how many of those to come are padding.
#[derive(Clone, Debug)]
struct Row {
    next: i32,
    padding: usize,
    tokens: Vec<i32>,
}

impl Row {
    fn offset(&self) -> i32 {
        self.tokens.len() as i32 - self.padding as i32
    }

    fn drop(&mut self, n: usize) {
        let removed = n.min(self.tokens.len());
        self.tokens.truncate(self.tokens.len() - removed);
        self.padding += n - removed;
    }
}

/// What kind of caches take part.
#[derive(Clone, Copy, Debug)]
enum Family {
    /// Every token is kept; there is room for some from the start.
    Whole { reserve: i32 },
    /// The same in few bits.
    Packed { bits: i32 },
    /// A ring.
    Ring { max_size: i32, keep: i32 },
}

impl Family {
    fn single(self) -> LayerCache {
        match self {
            Self::Whole { reserve } => LayerCache::full(reserve),
            Self::Packed { bits } => LayerCache::quantized(bits, 32).unwrap(),
            Self::Ring { max_size, keep } => LayerCache::rotating(max_size, keep).unwrap(),
        }
    }

    /// A batch of the family, if there is one.
    fn batch(self, padding: &[i32]) -> Option<LayerCache> {
        match self {
            Self::Whole { .. } => LayerCache::batch(padding.to_vec()).ok(),
            Self::Packed { .. } => None,
            Self::Ring { keep: 1.., .. } => None,
            Self::Ring { max_size, .. } => {
                LayerCache::batch_rotating(max_size, padding.to_vec()).ok()
            }
        }
    }

    fn max_size(self) -> usize {
        match self {
            Self::Ring { max_size, .. } => max_size as usize,
            _ => usize::MAX,
        }
    }

    fn keep(self) -> usize {
        match self {
            Self::Ring { keep, .. } => keep as usize,
            _ => 0,
        }
    }

    /// What a token may see that comes behind `tokens` and `new`, itself the last of those.
    fn visible(self, tokens: &[i32], new: &[i32], window: Option<i32>) -> Vec<i32> {
        let mut seen = tokens.to_vec();
        if seen.len() >= self.max_size() {
            let stop = seen.len() - (self.max_size() - 1 - self.keep());
            seen.drain(self.keep()..stop);
        }
        seen.extend(new);
        let limit = window.map_or(self.max_size(), |window| window as usize);
        seen.split_off(seen.len().saturating_sub(limit))
    }
}

/// A cache and what it should hold.
#[derive(Clone, Debug)]
struct Held {
    cache: LayerCache,
    rows: Vec<Row>,
    /// How many tokens a row has, padding included.
    total: usize,
}

/// Something to do with caches. They and their rows are numbered; numbers that are too large start
/// again at 0, but -1 and [`BEYOND`] are no rows.
#[derive(Clone, Debug)]
enum Op {
    New(Vec<i32>),
    Update(usize, i32, Option<i32>),
    Trim(usize, i32),
    Padded(usize, Vec<i32>, bool, Meanwhile),
    /// Tokens of another number of rows, heads or features, or none.
    Unfit(usize, Unfit),
    Filter(usize, Vec<i32>),
    Extend(usize, usize),
    Extract(usize, i32),
    Merge(Vec<usize>),
}

/// What is done while padding on the right waits to be moved.
#[derive(Clone, Debug)]
enum Meanwhile {
    Nothing,
    Filter(Vec<i32>),
    Trim(i32),
    Extend,
    Extract(usize),
}

#[derive(Clone, Copy, Debug)]
enum Unfit {
    Rows,
    Heads,
    Width,
    Empty,
}

/// Stands for the row behind the last one.
const BEYOND: i32 = 15;

/// The number of one of `count` rows, or of none.
fn row_of(number: i32, count: usize) -> i32 {
    match number {
        -1 => -1,
        BEYOND => count as i32,
        number => number % count as i32,
    }
}

fn op() -> impl Strategy<Value = Op> {
    let number = || 0..6usize;
    let few = |from: i32, to: i32| prop::collection::vec(from..to, 0..4);
    prop_oneof![
        1 => few(0, 5).prop_map(Op::New),
        6 => (number(), 1..=6i32, prop::option::of(1..9i32)).prop_map(|(i, n, w)| Op::Update(i, n, w)),
        6 => (number(), prop::option::of(1..9i32)).prop_map(|(i, w)| Op::Update(i, 1, w)),
        2 => (number(), -1..8i32).prop_map(|(i, n)| Op::Trim(i, n)),
        3 => (number(), few(0, 7), any::<bool>(), meanwhile())
            .prop_map(|(i, lengths, split, m)| Op::Padded(i, lengths, split, m)),
        1 => (number(), unfit()).prop_map(|(i, unfit)| Op::Unfit(i, unfit)),
        2 => (number(), few(-1, BEYOND + 1)).prop_map(|(i, rows)| Op::Filter(i, rows)),
        2 => (number(), number()).prop_map(|(i, k)| Op::Extend(i, k)),
        2 => (number(), -1..=BEYOND).prop_map(|(i, row)| Op::Extract(i, row)),
        2 => prop::collection::vec(number(), 0..4).prop_map(Op::Merge),
    ]
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        4 => Just(Meanwhile::Nothing),
        1 => prop::collection::vec(-1..=BEYOND, 0..3).prop_map(Meanwhile::Filter),
        1 => (0..6i32).prop_map(Meanwhile::Trim),
        1 => Just(Meanwhile::Extend),
        1 => (0..4usize).prop_map(Meanwhile::Extract),
    ]
}

fn unfit() -> impl Strategy<Value = Unfit> {
    prop::sample::select(vec![Unfit::Rows, Unfit::Heads, Unfit::Width, Unfit::Empty])
}

/// The numbers of a cache; a refused step leaves them as they are.
fn state(cache: &LayerCache) -> Value {
    observed(cache, &json!([[1, null, null], [2, null, null]]))
}

/// What one query may see, of the keys that its row got back.
fn seen(mask: &Mask, row: usize, query: usize, n: usize, keys: &[Option<i32>]) -> Vec<i32> {
    let length = keys.len();
    let sees: Vec<bool> = match mask {
        Mask::None => vec![true; length],
        Mask::Causal => (0..length).map(|key| key + n <= length + query).collect(),
        Mask::Array(array) => {
            assert_eq!(array.dim(-1) as usize, length, "the width of the mask");
            let at = match array.ndim() {
                4 => row * n + query,
                2 => query,
                _ => 0,
            };
            to_bool(array).unwrap()[at * length..][..length].to_vec()
        }
    };
    let visible = keys.iter().zip(sees).filter(|(_, sees)| *sees);
    // Zeros are nobody's: -1 is no key.
    visible.map(|(key, _)| key.unwrap_or(-1)).collect()
}

impl Held {
    fn is_batch(&self) -> bool {
        self.cache.left_padding().is_some()
    }

    fn is_ring(&self) -> bool {
        matches!(
            self.cache,
            LayerCache::Rotating(_) | LayerCache::BatchRotating(_)
        )
    }

    /// Gives each row `n` tokens, of which the first `real` ones are no padding on the right, and
    /// checks what they see.
    fn update(&mut self, family: Family, n: i32, real: &[i32], window: Option<i32>) {
        // With `keep` mlx-lm's windows are laid as if there were none, and ours are the same.
        let window = window.filter(|_| family.keep() == 0);
        let first: Vec<i32> = self.rows.iter().map(|row| row.next).collect();
        let mask = self.cache.make_mask(n, window).unwrap();
        let found = update(&mut self.cache, &first, n, 2).unwrap();
        for (b, row) in self.rows.iter_mut().enumerate() {
            let real = real[b].clamp(0, n) as usize;
            let padding = row.padding.min(real);
            let keys: Vec<i32> = (row.next..row.next + n).collect();
            for query in 0..real {
                let mut got = seen(&mask, b, query, n as usize, &found[b]);
                if self.cache.size() < self.total as i32 + n {
                    // Only a ring that has gone round has an order of its own.
                    got.sort();
                }
                let expected = match query < padding {
                    true => vec![],
                    false => family.visible(&row.tokens, &keys[padding..=query], window),
                };
                assert_eq!(got, expected, "query {query} of row {b}, {mask:?}");
            }
            row.tokens.extend(&keys[padding..real]);
            row.padding -= padding;
            row.next += n;
        }
        self.total += n as usize;
    }

    /// The same with rows of different lengths, padded on the right, at once or in two parts.
    fn padded(&mut self, family: Family, lengths: &[i32], split: bool, meanwhile: &Meanwhile) {
        let width = *lengths.iter().max().unwrap();
        let right: Vec<i32> = lengths.iter().map(|n| width - n).collect();
        self.cache
            .prepare(None, Some(lengths), Some(&right))
            .unwrap();
        // A ring takes no single tokens while it waits.
        let parts = match split && width > 3 {
            true => vec![2, width - 2],
            false => vec![width],
        };
        let mut done = 0;
        for n in parts {
            let real: Vec<i32> = lengths.iter().map(|length| length - done).collect();
            self.update(family, n, &real, None);
            done += n;
        }
        if width > *lengths.iter().min().unwrap() {
            self.meanwhile(meanwhile, &right);
        }
        self.cache.finalize().unwrap();
    }

    /// A cache that waits may refuse; what it does must be right.
    fn meanwhile(&mut self, what: &Meanwhile, right: &[i32]) {
        let before = state(&self.cache);
        let done = match what {
            Meanwhile::Nothing => return,
            Meanwhile::Filter(rows) => return self.filter(rows),
            Meanwhile::Trim(n) => self.cache.trim(*n).map(|removed| {
                self.total -= removed as usize;
                let both = self.rows.iter_mut().zip(right);
                both.for_each(|(row, right)| row.drop((removed - right).max(0) as usize));
            }),
            Meanwhile::Extend => {
                let other = self.clone();
                self.cache
                    .extend(&other.cache)
                    .map(|()| self.rows.extend(other.rows))
            }
            Meanwhile::Extract(row) => {
                let row = row % self.rows.len();
                self.cache.extract(row as i32).map(|single| {
                    let tokens = self.rows[row].tokens.len() as i32;
                    assert_eq!(single.offsets(), Offsets::Same(tokens));
                })
            }
        };
        if done.is_err() {
            assert_eq!(state(&self.cache), before);
        }
    }

    fn unfit(&mut self, unfit: Unfit) {
        // Before the first token only the rows of a batch are known.
        let known = match unfit {
            Unfit::Rows => self.cache.rows().is_some(),
            Unfit::Heads | Unfit::Width => self.cache.capacity() > 0,
            Unfit::Empty => true,
        };
        if !known {
            return;
        }
        let mut first = vec![0; self.rows.len()];
        let (mut n, mut heads) = (2, 2);
        match unfit {
            Unfit::Rows => first.push(0),
            Unfit::Heads => heads = 1,
            Unfit::Width => {}
            Unfit::Empty => n = 0,
        }
        let mut keys = keys(&self.cache, &first, n, heads);
        if let Unfit::Width = unfit {
            let twice = [keys.clone(), keys];
            keys = mlx_rs::ops::concatenate(&twice, 3).unwrap();
        }
        let before = state(&self.cache);
        assert!(self.cache.update_and_fetch(&keys, &keys).is_err());
        assert_eq!(state(&self.cache), before);
    }

    fn trim(&mut self, family: Family, n: i32) {
        let before = state(&self.cache);
        if n < 0 || self.is_ring() && self.total >= family.max_size() {
            self.cache.trim(n).unwrap_err();
            assert_eq!(state(&self.cache), before);
            return;
        }
        let removed = self.total.min(n as usize);
        assert_eq!(self.cache.trim(n).unwrap(), removed as i32);
        self.total -= removed;
        self.rows.iter_mut().for_each(|row| row.drop(removed));
    }

    fn filter(&mut self, rows: &[i32]) {
        let count = self.rows.len();
        let rows: Vec<i32> = rows.iter().map(|row| row_of(*row, count)).collect();
        let there = |row: &i32| (0..count as i32).contains(row);
        let before = state(&self.cache);
        if rows.is_empty() || !rows.iter().all(there) {
            self.cache.filter(&rows).unwrap_err();
            assert_eq!(state(&self.cache), before);
            return;
        }
        let padding = self.cache.left_padding().map(<[i32]>::to_vec);
        self.cache.filter(&rows).unwrap();
        let kept = rows.iter().map(|row| self.rows[*row as usize].clone());
        self.rows = kept.collect();
        if let (LayerCache::Batch(_), Some(padding)) = (&self.cache, padding) {
            // Padding that all rows have goes, as far as it is there yet.
            let common = rows.iter().map(|row| padding[*row as usize]).min().unwrap();
            self.total -= self.total.min(common as usize);
        }
    }

    /// The numbers that a cache gives away must be those of its rows.
    fn check(&self, family: Family) {
        let offsets = match self.is_batch() {
            true => Offsets::PerRow(self.rows.iter().map(Row::offset).collect()),
            false => Offsets::Same(self.total as i32),
        };
        assert_eq!(self.cache.offsets(), offsets);
        let held = match self.is_ring() {
            true => self.total.min(family.max_size()),
            false => self.total,
        };
        assert_eq!(self.cache.size(), held as i32);
        assert!(self.cache.capacity() >= self.cache.size());
        let trims = !self.is_ring() || self.total < family.max_size();
        assert_eq!(self.cache.is_trimmable(), trims);
    }
}

/// Caches of one family that are turned into one another.
struct World {
    family: Family,
    pool: Vec<Held>,
    rows: i32,
}

impl World {
    fn new(family: Family, padding: &[i32]) -> Self {
        let mut world = Self {
            family,
            pool: Vec::new(),
            rows: 0,
        };
        world.add(padding);
        world
    }

    /// An empty cache: a batch of rows with padding, or a single one.
    fn add(&mut self, padding: &[i32]) {
        let batch = self.family.batch(padding).filter(|_| !padding.is_empty());
        let padding = if batch.is_some() { padding } else { &[0] };
        let rows = padding.iter().enumerate().map(|(i, padding)| Row {
            next: 1000 * (self.rows + i as i32),
            padding: *padding as usize,
            tokens: Vec::new(),
        });
        let rows: Vec<Row> = rows.collect();
        self.rows += rows.len() as i32;
        let cache = batch.unwrap_or_else(|| self.family.single());
        self.pool.push(Held {
            cache,
            rows,
            total: 0,
        });
    }

    fn take(&mut self, op: &Op) {
        let (family, count) = (self.family, self.pool.len());
        match op {
            Op::New(padding) => self.add(padding),
            Op::Update(i, n, window) => {
                let held = &mut self.pool[i % count];
                held.update(family, *n, &vec![*n; held.rows.len()], *window);
            }
            Op::Trim(i, n) => self.pool[i % count].trim(family, *n),
            Op::Padded(i, lengths, split, meanwhile) => {
                let held = &mut self.pool[i % count];
                let rows = held.rows.len();
                let lengths: Vec<i32> = lengths.iter().copied().cycle().take(rows).collect();
                if held.is_batch() && lengths.iter().any(|n| *n > 1) {
                    held.padded(family, &lengths, *split, meanwhile);
                }
            }
            Op::Unfit(i, unfit) => self.pool[i % count].unfit(*unfit),
            Op::Filter(i, rows) => {
                let held = &mut self.pool[i % count];
                // A cache of one kind of rows learns their number from its first tokens.
                if held.cache.rows().is_some() {
                    held.filter(rows);
                }
            }
            Op::Extend(i, k) => self.extend(i % count, k % count),
            Op::Extract(i, row) => self.extract(i % count, *row),
            Op::Merge(list) => self.merge(list),
        }
        self.pool.iter().for_each(|held| held.check(family));
    }

    fn extend(&mut self, i: usize, k: usize) {
        let other = self.pool[k].clone();
        let held = &mut self.pool[i];
        let before = state(&held.cache);
        if !held.is_batch() || !other.is_batch() {
            held.cache.extend(&other.cache).unwrap_err();
            assert_eq!(state(&held.cache), before);
        } else if held.rows.len() + other.rows.len() < 8 {
            held.cache.extend(&other.cache).unwrap();
            held.rows.extend(other.rows);
            held.total = held.total.max(other.total);
        }
    }

    fn extract(&mut self, i: usize, row: i32) {
        let held = &self.pool[i];
        let row = row_of(row, held.rows.len());
        if !held.is_batch() || row < 0 || row as usize >= held.rows.len() {
            held.cache.extract(row).unwrap_err();
            return;
        }
        let cache = held.cache.extract(row).unwrap();
        let mut row = held.rows[row as usize].clone();
        // Padding that has not come yet is not part of what is taken out.
        row.padding = 0;
        let total = row.tokens.len();
        self.pool.push(Held {
            cache,
            rows: vec![row],
            total,
        });
    }

    fn merge(&mut self, list: &[usize]) {
        let parts: Vec<&Held> = list
            .iter()
            .map(|i| &self.pool[i % self.pool.len()])
            .collect();
        let caches: Vec<&LayerCache> = parts.iter().map(|part| &part.cache).collect();
        let merged = LayerCache::merge(&caches);
        let no_batches = self.family.batch(&[0]).is_none();
        if parts.is_empty() || no_batches || parts.iter().any(|part| part.is_batch()) {
            merged.unwrap_err();
            return;
        }
        let longest = parts.iter().map(|part| part.total).max().unwrap();
        let held = Held {
            cache: merged.unwrap(),
            rows: parts.iter().flat_map(|part| part.rows.clone()).collect(),
            total: longest.min(self.family.max_size()),
        };
        self.pool.push(held);
    }
}

/// Random steps on caches of a family; the same ones in every run.
fn check_family(cases: u32, family: impl Strategy<Value = Family>) {
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    };
    let first = prop::collection::vec(0..5i32, 0..4);
    let steps = prop::collection::vec(op(), 1..25);
    let run = TestRunner::new(config).run(&(family, first, steps), |(family, first, steps)| {
        let mut world = World::new(family, &first);
        steps.iter().for_each(|op| world.take(op));
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn every_token_is_seen() {
    let whole = (0..9i32).prop_map(|reserve| Family::Whole { reserve });
    check_family(1000, whole);
}

#[test]
fn every_token_is_seen_in_few_bits() {
    let bits = prop_oneof![Just(4), Just(8)];
    check_family(300, bits.prop_map(|bits| Family::Packed { bits }));
}

#[test]
fn a_ring_shows_the_latest_tokens() {
    let ring = (1..9i32).prop_map(|max_size| Family::Ring { max_size, keep: 0 });
    check_family(2000, ring);
}

#[test]
fn a_ring_shows_the_first_tokens_too() {
    let sizes = (2..9i32).prop_flat_map(|max_size| (Just(max_size), 1..max_size));
    let ring = sizes.prop_map(|(max_size, keep)| Family::Ring { max_size, keep });
    check_family(500, ring);
}
