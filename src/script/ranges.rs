//! Ranges as lists: what is asked of a list is asked of `0..n` as well.

use super::error::{Answer, At};
use crate::error::Error;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, FnPtr, INT};
use std::ops::{Range, RangeInclusive};

/// Registers the functions.
pub fn register(global: &mut Module) {
    global.combine(exported_module!(members));
}

fn mapped(ctx: &NativeCallContext, numbers: impl Iterator<Item = INT>, f: &FnPtr) -> Answer<List> {
    numbers.map(|i| f.call_raw(ctx, None, [i.into()])).collect()
}

/// More numbers than a list of them is wanted for; they take 16 bytes each.
const MOST: INT = 100_000_000;

fn listed(ctx: &NativeCallContext, start: INT, end: INT) -> Answer<List> {
    match end.saturating_sub(start) {
        count if count > MOST => {
            let expected = format!("at most {MOST}");
            let found = format!("{count} numbers");
            Err(Error::value("range", found, &expected)).at(ctx)
        }
        _ => Ok((start..end).map(Dynamic::from).collect()),
    }
}

// Both kinds of range are one type to a reader, so what is said of them is the same.
#[export_module]
mod members {
    /// A list of what a closure makes of each number.
    ///
    /// ```rhai
    /// assert_eq((0..3).map(|i| i * i), [0, 1, 4]);
    /// assert_eq((1..=3).map(|i| i * 10), [10, 20, 30]);
    /// ```
    #[rhai_fn(global, name = "map", pure, return_raw)]
    pub fn map_exclusive(ctx: NativeCallContext, range: &mut Range<INT>, f: FnPtr) -> Answer<List> {
        mapped(&ctx, range.clone(), &f)
    }

    /// A list of what a closure makes of each number.
    ///
    /// ```rhai
    /// assert_eq((0..3).map(|i| i * i), [0, 1, 4]);
    /// assert_eq((1..=3).map(|i| i * 10), [10, 20, 30]);
    /// ```
    #[rhai_fn(global, name = "map", pure, return_raw)]
    pub fn map_inclusive(
        ctx: NativeCallContext,
        range: &mut RangeInclusive<INT>,
        f: FnPtr,
    ) -> Answer<List> {
        mapped(&ctx, range.clone(), &f)
    }

    /// The numbers of a range as a list.
    ///
    /// ```rhai
    /// assert_eq((0..3).to_array(), [0, 1, 2]);
    /// assert_eq((1..=3).to_array(), [1, 2, 3]);
    /// ```
    #[rhai_fn(global, name = "to_array", pure, return_raw)]
    pub fn exclusive_list(ctx: NativeCallContext, range: &mut Range<INT>) -> Answer<List> {
        listed(&ctx, range.start, range.end)
    }

    /// The numbers of a range as a list.
    ///
    /// ```rhai
    /// assert_eq((0..3).to_array(), [0, 1, 2]);
    /// assert_eq((1..=3).to_array(), [1, 2, 3]);
    /// ```
    #[rhai_fn(global, name = "to_array", pure, return_raw)]
    pub fn inclusive_list(ctx: NativeCallContext, range: &mut RangeInclusive<INT>) -> Answer<List> {
        listed(&ctx, *range.start(), range.end().saturating_add(1))
    }
}
