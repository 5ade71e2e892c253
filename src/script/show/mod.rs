//! How the value of a cell looks: at a prompt as text, in a notebook as HTML too.

mod grid;
mod model;
mod statistics;
mod trainer;

pub use crate::plot::Screen;
pub use grid::{Grid, escape};
pub use statistics::summarise;

use super::error::Answer;
use super::grpo::GrpoTrainer;
use super::model::Model;
use super::plot::PlotValue;
use super::sft::SftTrainer;
use super::tensor::Tensor;
use super::tree::tensors_in;
use crate::data::Dataset;
use crate::mlx::Array;
use crate::nn::Params;
use crate::tensor::dtype;
use rhai::{Array as List, Dynamic, Engine, ImmutableString, Map};

/// A value as people want to see it.
pub enum Shown {
    Text(String),
    /// A line of text, and a table under it.
    Grid(String, Grid),
    Plot(PlotValue),
}

impl Shown {
    /// As text of at most the screen's width, as far as that is possible.
    pub fn to_text(&self, screen: &Screen) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Grid(caption, grid) if caption.is_empty() => grid.to_text(screen.columns),
            Self::Grid(caption, grid) => format!("{caption}\n{}", grid.to_text(screen.columns)),
            Self::Plot(plot) => {
                let columns = screen.columns.min(WIDEST_PLOT);
                plot.to_text(&Screen { columns, ..*screen })
            }
        }
    }
}

/// A curve does not become clearer by being wider.
const WIDEST_PLOT: usize = 100;

/// Rows of a dataset that are shown.
const FIRST_ROWS: usize = 5;

/// A longer map is a table.
const LONG_MAP: usize = 72;

const LONGEST_DETAIL: usize = 60;

/// Values of a tensor that a list or a map shows.
const SHORT_TENSOR: usize = 8;

/// A longer list is shown by its ends.
const LONG_LIST: usize = 100;
const LIST_ENDS: usize = 10;

/// A value as a front end should show it.
///
/// # Errors
/// Those of computing a lazy value, and of a `to_debug` that a script defines.
pub fn look(engine: &Engine, value: &Dynamic) -> Answer<Shown> {
    if let Some(plot) = value.read_lock::<PlotValue>() {
        return Ok(Shown::Plot(plot.clone()));
    }
    if let Some(model) = value.read_lock::<Model>() {
        let grid = model::layers(&model);
        return Ok(Shown::Grid(debug(engine, value)?, grid));
    }
    if let Some(history) = history(value) {
        let caption = debug(engine, value)?;
        return Ok(match history.is_empty() {
            true => Shown::Text(caption),
            false => Shown::Grid(caption, trainer::curves(&history)),
        });
    }
    if let Some(dataset) = value.read_lock::<Dataset>() {
        let count = dataset.rows().len();
        let rows = dataset.rows().iter().take(FIRST_ROWS);
        let maps: Vec<Map> = rows
            .filter_map(|row| super::data::map_of(row).try_cast())
            .collect();
        // The rows that the text of a dataset ends in are in the table.
        let text = debug(engine, value)?;
        let caption = text.lines().next().unwrap_or_default().to_string();
        let grid = grid::of_maps(engine, maps.iter(), count)?;
        return Ok(Shown::Grid(caption, grid));
    }
    if let Some(list) = value.read_lock::<List>() {
        let maps: Vec<_> = list
            .iter()
            .map_while(|item| item.read_lock::<Map>())
            .collect();
        if !maps.is_empty() && maps.len() == list.len() {
            let maps = maps.iter().map(|map| &**map);
            return Ok(Shown::Grid(
                String::new(),
                grid::of_maps(engine, maps, list.len())?,
            ));
        }
        if list.len() > LONG_LIST {
            return Ok(Shown::Text(ends(engine, &list)?));
        }
    }
    let text = inline(engine, value)?;
    match value
        .read_lock::<Map>()
        .filter(|_| text.chars().count() > LONG_MAP)
    {
        Some(map) => Ok(Shown::Grid(String::new(), grid::of_map(engine, &map)?)),
        None => Ok(Shown::Text(text)),
    }
}

fn history(value: &Dynamic) -> Option<Vec<crate::train::Metrics>> {
    let of_grpo = value.read_lock::<GrpoTrainer>().map(|t| t.history());
    of_grpo.or_else(|| value.read_lock::<SftTrainer>().map(|t| t.history()))
}

/// A value in a few words: its shape, its size, or itself where it is short.
pub fn detail(engine: &Engine, value: &Dynamic) -> String {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return form(&tensor.0);
    }
    if let Some(list) = value.read_lock::<List>() {
        return format!("{} items", list.len());
    }
    if let Some(map) = value.read_lock::<Map>() {
        let keys: Vec<&str> = map.keys().map(|key| key.as_str()).collect();
        return grid::cut(&format!("#{{ {} }}", keys.join(", ")), LONGEST_DETAIL);
    }
    let text = debug(engine, value).unwrap_or_else(|error| error.to_string());
    grid::cut(text.lines().next().unwrap_or_default(), LONGEST_DETAIL)
}

/// What a value's tensors take, in bytes: those of a model too.
pub fn bytes_in(value: &Dynamic) -> usize {
    let arrays = match value.read_lock::<Model>() {
        Some(model) => model.0.borrow().network.arrays(),
        None => tensors_in(value),
    };
    arrays.iter().map(Array::nbytes).sum()
}

/// A value as Rhai's `debug` writes it, with this program's own types.
pub fn debug(engine: &Engine, value: &Dynamic) -> Answer<String> {
    let mut copy = value.clone();
    let text = engine.eval_fn_call::<ImmutableString>("to_debug", Some(&mut copy), ())?;
    Ok(text.to_string())
}

/// A value as [`debug`] writes it, where tensors that lists and maps hold are told by their form:
/// written out they would break the line.
pub fn inline(engine: &Engine, value: &Dynamic) -> Answer<String> {
    let within = |value: &Dynamic| match value.read_lock::<Tensor>() {
        Some(tensor) if tensor.0.ndim() <= 1 && tensor.0.size() <= SHORT_TENSOR => {
            let text = debug(engine, value)?;
            Ok(format!(
                "tensor({})",
                text.lines().next().unwrap_or_default()
            ))
        }
        Some(tensor) => Ok(format!("tensor {}", form(&tensor.0))),
        None => inline(engine, value),
    };
    if let Some(list) = value.read_lock::<List>() {
        let items: Answer<Vec<String>> = list.iter().map(within).collect();
        return Ok(format!("[{}]", items?.join(", ")));
    }
    if let Some(map) = value.read_lock::<Map>() {
        let field = |(key, value): (&rhai::Identifier, &Dynamic)| {
            Ok(format!("{:?}: {}", key.as_str(), within(value)?))
        };
        let fields: Answer<Vec<String>> = map.iter().map(field).collect();
        return Ok(format!("#{{{}}}", fields?.join(", ")));
    }
    debug(engine, value)
}

/// Shape and element type: `[2, 3] float32`.
fn form(array: &Array) -> String {
    format!("{:?} {}", array.shape(), dtype::name(array.dtype()))
}

/// The first and the last items of a long list.
fn ends(engine: &Engine, list: &List) -> Answer<String> {
    let part = |items: &[Dynamic]| -> Answer<String> {
        let text = inline(engine, &items.to_vec().into())?;
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        Ok(inner.unwrap_or(&text).to_string())
    };
    Ok(format!(
        "[{}, …, {}]\na list of {}",
        part(&list[..LIST_ENDS])?,
        part(&list[list.len() - LIST_ENDS..])?,
        list.len()
    ))
}
