//! `plot::` and the `Plot` type.

use super::convert;
use super::error::{Answer, At};
use super::settings::{Settings, float};
use super::tensor::Tensor;
use crate::checkpoint::write_file;
use crate::error::{Error, Result};
use crate::plot::{Plot, Screen, Series};
use crate::tensor::to_f32;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, Map, NativeCallContext};
use std::path::Path;

/// A plot as a script's value.
pub type PlotValue = Plot;

/// Registers the type and the module.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<Plot>("Plot");
    global.combine(exported_module!(members));
    engine.register_static_module("plot", exported_module!(functions).into());
    let show = |p: &mut Plot| p.to_text(&Screen::default());
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

/// Numbers as points: a list or tensor of y, or of [x, y] pairs.
fn points(value: &Dynamic) -> Result<Vec<(f64, f64)>> {
    let wrong = || {
        let expected = "a list or tensor of numbers, or of [x, y] pairs";
        Error::value("series", convert::brief(value), expected)
    };
    if let Some(tensor) = value.read_lock::<Tensor>() {
        if tensor.0.ndim() != 1 {
            return Err(Error::shape("series", "[n]", tensor.0.shape()));
        }
        let values = to_f32(&tensor.0)?.into_iter().enumerate();
        return Ok(values.map(|(i, y)| (i as f64, f64::from(y))).collect());
    }
    let list = value.read_lock::<List>().ok_or_else(wrong)?;
    list.iter()
        .enumerate()
        .map(|(i, item)| {
            if let Some(y) = float(item) {
                return Ok((i as f64, y));
            }
            let pair = item.read_lock::<List>().ok_or_else(wrong)?;
            match pair.as_slice() {
                [x, y] => Ok((float(x).ok_or_else(wrong)?, float(y).ok_or_else(wrong)?)),
                _ => Err(wrong()),
            }
        })
        .collect()
}

/// One series, or a map of named ones.
fn series(value: &Dynamic) -> Result<Vec<Series>> {
    match value.read_lock::<Map>() {
        Some(map) => map
            .iter()
            .map(|(name, value)| Ok(Series::named(name.as_str(), points(value)?)))
            .collect(),
        None => Ok(vec![Series::named("", points(value)?)]),
    }
}

#[export_module]
mod functions {
    /// Curves: a list or tensor of numbers, a list of `[x, y]` pairs, or a map of named ones.
    #[rhai_fn(return_raw)]
    pub fn line(ctx: NativeCallContext, series: Dynamic) -> Answer<Plot> {
        line_with(ctx, series, Map::new())
    }

    /// Curves: a list or tensor of numbers, a list of `[x, y]` pairs, or a map of named ones.
    /// Settings: `title`, `x` and `y` (the names of the axes), `smooth` (points to average over).
    ///
    /// ```rhai
    /// let curves = #{ train: [3.0, 2.0, 1.0], test: [[0, 3.5], [2, 1.5]] };
    /// let p = plot::line(curves, #{ title: "loss", x: "step", smooth: 2 });
    /// assert(p.to_string().contains("loss"));
    /// ```
    #[rhai_fn(name = "line", return_raw)]
    pub fn line_with(ctx: NativeCallContext, series: Dynamic, settings: Map) -> Answer<Plot> {
        let (title, x, y, smooth) = Settings::read(&ctx, "plot::line", settings, |s| {
            let mut smooth = 1usize;
            s.count("smooth", &mut smooth)?;
            if smooth == 0 {
                return Err(Error::setting("smooth", smooth, "at least 1 point"));
            }
            Ok((s.string("title")?, s.string("x")?, s.string("y")?, smooth))
        })?;
        let series = super::series(&series).at(&ctx)?;
        Ok(Plot::line(series)
            .titled(title.unwrap_or_default())
            .labelled(x.unwrap_or_default(), y.unwrap_or_default())
            .smooth(smooth))
    }
}

#[export_module]
mod members {
    /// Writes the plot to a file that ends in `.svg`, in a folder that is there.
    ///
    /// ```rhai
    /// let p = plot::line([3.0, 2.0, 1.0], #{ title: "loss" });
    /// assert_eq(p.save("target/loss.svg"), ());
    /// ```
    #[rhai_fn(global, name = "save", pure, return_raw)]
    pub fn save_plot(ctx: NativeCallContext, p: &mut Plot, path: &str) -> Answer<()> {
        let path = Path::new(path);
        if path.extension().is_none_or(|extension| extension != "svg") {
            let found = path.display();
            return Err(Error::value("plot file", found, "a name that ends in .svg")).at(&ctx);
        }
        write_file(path, p.to_svg().as_bytes()).at(&ctx)
    }
}
