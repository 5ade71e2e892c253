//! Reading a map of settings: every key has a default, and a wrong one is told from the right.

use super::convert;
use super::error::At;
use crate::error::{Error, Result, nearest};
use rhai::{Array as List, Dynamic, FLOAT, INT, Map, NativeCallContext};

use super::error::Answer;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Keys by the function, or the setting that is a map, which asked for them.
pub type Asked = BTreeMap<&'static str, BTreeSet<&'static str>>;

thread_local! {
    static ASKED: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

/// Does something, and says which settings were asked for meanwhile: where they are read is the one
/// place that knows them, and the list for completion is made from it.
pub fn asked_by<T>(work: impl FnOnce() -> T) -> (T, Asked) {
    let outer = ASKED.replace(Some(Asked::new()));
    let done = work();
    (done, ASKED.replace(outer).unwrap_or_default())
}

/// A map on its way into a settings struct. What is read is removed; what is left at the end
/// nobody knows.
pub struct Settings {
    of: &'static str,
    map: Map,
    known: Vec<&'static str>,
}

impl Settings {
    /// The settings of `of`, named in errors.
    pub fn new(of: &'static str, map: Map) -> Self {
        Self {
            of,
            map,
            known: Vec::new(),
        }
    }

    /// Reads settings and refuses unknown keys.
    pub fn read<T>(
        ctx: &NativeCallContext,
        of: &'static str,
        map: Map,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Answer<T> {
        let mut settings = Self::new(of, map);
        let value = read(&mut settings).at(ctx)?;
        settings.finish().at(ctx)?;
        Ok(value)
    }

    /// The value of a key, if it is there; `()` is the same as nothing.
    pub fn take(&mut self, name: &'static str) -> Option<Dynamic> {
        self.known.push(name);
        ASKED.with_borrow_mut(|asked| {
            if let Some(asked) = asked {
                asked.entry(self.of).or_default().insert(name);
            }
        });
        self.map.remove(name).filter(|value| !value.is_unit())
    }

    /// An error for a key that others know by this name: what it is here, or why it is not.
    pub fn refuse(&mut self, name: &str, instead: &str) -> Result<()> {
        match self.map.remove(name).filter(|value| !value.is_unit()) {
            Some(value) => Err(wrong(name, &value, instead)),
            None => Ok(()),
        }
    }

    /// Yes or no, if it is there.
    pub fn choice(&mut self, name: &'static str) -> Result<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_bool() {
                Ok(choice) => Ok(Some(choice)),
                Err(_) => Err(wrong(name, &value, "true or false")),
            },
        }
    }

    /// A number; an integer will do.
    pub fn float(&mut self, name: &'static str, into: &mut f64) -> Result<()> {
        if let Some(value) = self.take(name) {
            *into = float(&value).ok_or_else(|| wrong(name, &value, "a number"))?;
        }
        Ok(())
    }

    /// A number, kept as f32.
    pub fn single(&mut self, name: &'static str, into: &mut f32) -> Result<()> {
        let mut wide = f64::from(*into);
        let before = wide;
        self.float(name, &mut wide)?;
        if wide != before {
            *into = wide as f32;
        }
        Ok(())
    }

    /// A number that may be absent.
    pub fn optional(&mut self, name: &'static str, into: &mut Option<f32>) -> Result<()> {
        if let Some(value) = self.take(name) {
            let value = float(&value).ok_or_else(|| wrong(name, &value, "a number"))?;
            *into = Some(value as f32);
        }
        Ok(())
    }

    /// A whole number.
    pub fn integer(&mut self, name: &'static str) -> Result<Option<INT>> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_int() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(wrong(name, &value, "a whole number")),
            },
        }
    }

    /// A whole number of at least 0.
    pub fn count<T: TryFrom<INT>>(&mut self, name: &'static str, into: &mut T) -> Result<()> {
        if let Some(number) = self.integer(name)? {
            *into = T::try_from(number)
                .map_err(|_| Error::setting(name, number, "a whole number of at least 0"))?;
        }
        Ok(())
    }

    /// Yes or no.
    pub fn boolean(&mut self, name: &'static str, into: &mut bool) -> Result<()> {
        if let Some(choice) = self.choice(name)? {
            *into = choice;
        }
        Ok(())
    }

    /// A string.
    pub fn string(&mut self, name: &'static str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(value) if value.is_string() => Ok(Some(value.to_string())),
            Some(value) => Err(wrong(name, &value, "a string")),
        }
    }

    /// One of several names, by a native parser that knows them.
    pub fn named<T>(
        &mut self,
        name: &'static str,
        into: &mut T,
        parse: impl FnOnce(&str) -> Result<T>,
    ) -> Result<()> {
        if let Some(text) = self.string(name)? {
            *into = parse(&text)?;
        }
        Ok(())
    }

    /// A list of whole numbers.
    pub fn ids(&mut self, name: &'static str) -> Result<Option<Vec<i32>>> {
        self.take(name)
            .map(|value| {
                super::convert::ids(&value).map_err(|_| wrong(name, &value, "a list of token ids"))
            })
            .transpose()
    }

    /// A list of strings.
    pub fn strings(&mut self, name: &'static str) -> Result<Option<Vec<String>>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let list = value.clone().try_cast::<List>();
        let strings = list.and_then(|list| {
            let strings = list.into_iter().map(|item| item.into_string().ok());
            strings.collect()
        });
        match strings {
            Some(strings) => Ok(Some(strings)),
            None => Err(wrong(name, &value, "a list of strings")),
        }
    }

    /// A list of numbers.
    pub fn numbers(&mut self, name: &'static str) -> Result<Option<Vec<f64>>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let list = value.clone().try_cast::<List>();
        let numbers: Option<Vec<f64>> = list.and_then(|list| list.iter().map(float).collect());
        numbers
            .map(Some)
            .ok_or_else(|| wrong(name, &value, "a list of numbers"))
    }

    /// A value of a registered type.
    pub fn value<T: Clone + 'static>(
        &mut self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.clone().try_cast::<T>() {
                Some(value) => Ok(Some(value)),
                None => Err(wrong(name, &value, expected)),
            },
        }
    }

    /// An error if a key was not read by anybody.
    pub fn finish(self) -> Result<()> {
        let Some(name) = self.map.keys().next() else {
            return Ok(());
        };
        let mut valid = self.known;
        valid.sort_unstable();
        valid.dedup();
        Err(Error::UnknownSetting {
            of: self.of,
            nearest: nearest(name, valid.iter().copied()),
            name: name.to_string(),
            valid,
        })
    }
}

/// The number in a value, whole or not.
pub fn float(value: &Dynamic) -> Option<FLOAT> {
    match value.as_float() {
        Ok(number) => Some(number),
        Err(_) => value.as_int().ok().map(|number| number as FLOAT),
    }
}

fn wrong(name: &str, value: &Dynamic, expected: &str) -> Error {
    let found = convert::found(value);
    Error::setting(name, found, expected)
}
