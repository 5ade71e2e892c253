//! `plot::` and the `Plot` type.

mod values;

use super::error::{Answer, At};
use super::settings::Settings;
use crate::checkpoint::write_file;
use crate::error::{Error, Result};
use crate::plot::{Plot, Screen};
use rhai::plugin::*;
use rhai::{Dynamic, Engine, Map, NativeCallContext};
use std::path::Path;

/// A plot as a script's value.
pub type PlotValue = Plot;

/// The width of a saved PNG, in pixels: twice that of the SVG.
const PNG_WIDTH: usize = 1280;
/// A histogram of more bins is a slip of the pen.
const MOST_BINS: usize = 10_000;

/// Registers the type and the module.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<Plot>("Plot");
    global.combine(exported_module!(members));
    engine.register_static_module("plot", exported_module!(functions).into());
    let show = |p: &mut Plot| p.to_text(&Screen::default());
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

/// The words around every kind of plot.
#[derive(Default)]
struct Words {
    title: String,
    x: String,
    y: String,
}

impl Words {
    fn read(s: &mut Settings) -> Result<Self> {
        Ok(Self {
            title: s.string("title")?.unwrap_or_default(),
            x: s.string("x")?.unwrap_or_default(),
            y: s.string("y")?.unwrap_or_default(),
        })
    }

    fn around(self, plot: Plot) -> Plot {
        plot.titled(self.title).labelled(self.x, self.y)
    }
}

/// Curves of a value; of a table, the column that `y` names.
fn curves(value: &Dynamic, words: &mut Words) -> Result<Plot> {
    if !values::is_table(value) {
        return Ok(Plot::line(values::series(value)?));
    }
    if words.y.is_empty() {
        let expected = "the name of a column, since the series is a list of maps";
        return Err(Error::setting("y", "none", expected));
    }
    if words.x.is_empty() {
        words.x = "step".into();
    }
    let column = values::column(value, &words.x, &words.y)?;
    Ok(Plot::line(vec![column]))
}

#[export_module]
mod functions {
    /// Curves: a list or tensor of numbers, `[x, y]` pairs, or a map of named ones.
    ///
    /// ```rhai
    /// let p = plot::line([3.0, 2.0, 1.5, 1.2]);
    /// assert(p.to_string().contains("1.5"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn line(ctx: NativeCallContext, series: Dynamic) -> Answer<Plot> {
        line_with(ctx, series, Map::new())
    }

    /// Curves with settings: `title`, `x` and `y` (the names of the axes), `smooth` (how many
    /// points to average over). What is not a number, or `()`, is a gap.
    ///
    /// Of a list of maps, such as a trainer's metrics, `y` names what to draw and `x` (`"step"`)
    /// what to draw it over.
    ///
    /// ```rhai
    /// let curves = #{ train: [3.0, 2.0, 1.0], test: [[0, 3.5], [2, 1.5]] };
    /// let p = plot::line(curves, #{ title: "loss", x: "step", smooth: 2 });
    /// assert(p.to_string().contains("loss"));
    ///
    /// let metrics = [#{ step: 1, reward: 0.2 }, #{ step: 2, reward: 0.6 }];
    /// assert(plot::line(metrics, #{ y: "reward" }).to_string().contains("step"));
    /// ```
    #[rhai_fn(name = "line", return_raw)]
    pub fn line_with(ctx: NativeCallContext, series: Dynamic, settings: Map) -> Answer<Plot> {
        let (mut words, smooth) = Settings::read(&ctx, "plot::line", settings, |s| {
            let mut smooth = 1usize;
            s.count("smooth", &mut smooth)?;
            if smooth == 0 {
                return Err(Error::setting("smooth", smooth, "at least 1 point"));
            }
            Ok((Words::read(s)?, smooth))
        })?;
        let plot = super::curves(&series, &mut words).at(&ctx)?;
        Ok(words.around(plot.smooth(smooth)))
    }

    /// How often the values of a list or tensor fall into each of several bins, as many as
    /// Freedman and Diaconis's rule chooses. What is not finite is counted apart.
    ///
    /// ```rhai
    /// let p = plot::histogram(mx::random::normal([1000]));
    /// assert(p.to_string().contains("n = 1000"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn histogram(ctx: NativeCallContext, values: Dynamic) -> Answer<Plot> {
        histogram_with(ctx, values, Map::new())
    }

    /// A histogram with settings: `bins` (how many), `title`, `x` and `y` (the names of the axes).
    ///
    /// ```rhai
    /// let rewards = [0.0, 0.5, 0.5, 1.0, 1.0, 1.0];
    /// let p = plot::histogram(rewards, #{ bins: 3, title: "rewards", x: "reward" });
    /// assert(p.to_string().contains("n = 6"));
    /// ```
    #[rhai_fn(name = "histogram", return_raw)]
    pub fn histogram_with(ctx: NativeCallContext, values: Dynamic, settings: Map) -> Answer<Plot> {
        let (words, bins) = Settings::read(&ctx, "plot::histogram", settings, |s| {
            let bins = match s.integer("bins")? {
                None => None,
                Some(bins) => {
                    let count = usize::try_from(bins).ok();
                    let count = count.filter(|count| (1..=MOST_BINS).contains(count));
                    let expected = format!("a whole number from 1 to {MOST_BINS}");
                    Some(count.ok_or_else(|| Error::setting("bins", bins, &expected))?)
                }
            };
            Ok((Words::read(s)?, bins))
        })?;
        let values = super::values::numbers("values", &values).at(&ctx)?;
        Ok(words.around(Plot::histogram(&values, bins)))
    }

    /// A matrix by shades: a tensor `[rows, columns]`, or a list of rows. Row 0 is on top. What is
    /// not a number is shown apart; a matrix larger than the picture is shown by means of blocks.
    ///
    /// ```rhai
    /// let p = plot::heatmap(mx::eye(4));
    /// assert(p.to_string().contains("█"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn heatmap(ctx: NativeCallContext, matrix: Dynamic) -> Answer<Plot> {
        heatmap_with(ctx, matrix, Map::new())
    }

    /// A heat map with settings: `row_names` and `column_names` (lists of strings), `title`, `x`
    /// and `y` (the names of the axes).
    ///
    /// ```rhai
    /// let p = plot::heatmap([[0.9, 0.1], [0.4, 0.6]], #{
    ///     title: "attention", x: "key", y: "query",
    ///     row_names: ["the", "cat"], column_names: ["the", "cat"],
    /// });
    /// assert(p.to_string().contains("cat"));
    /// ```
    #[rhai_fn(name = "heatmap", return_raw)]
    pub fn heatmap_with(ctx: NativeCallContext, matrix: Dynamic, settings: Map) -> Answer<Plot> {
        let (words, rows, columns) = Settings::read(&ctx, "plot::heatmap", settings, |s| {
            let rows = s.strings("row_names")?.unwrap_or_default();
            let columns = s.strings("column_names")?.unwrap_or_default();
            Ok((Words::read(s)?, rows, columns))
        })?;
        let grid = super::values::grid(&matrix);
        let grid = grid.and_then(|grid| grid.named(rows, columns)).at(&ctx)?;
        Ok(words.around(Plot::heat_map(grid)))
    }

    /// A bar for each value: a map of names, a list of `[name, value]` pairs in their order, or a
    /// list or tensor of numbers.
    ///
    /// ```rhai
    /// let p = plot::bar(#{ base: 0.2, tuned: 0.7 });
    /// assert(p.to_string().contains("tuned"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn bar(ctx: NativeCallContext, values: Dynamic) -> Answer<Plot> {
        bar_with(ctx, values, Map::new())
    }

    /// Bars with settings: `title`, `x` (what the names are) and `y` (what is measured).
    ///
    /// ```rhai
    /// let parts = [["format", 0.5], ["length", -0.2], ["answer", 1.0]];
    /// let p = plot::bar(parts, #{ title: "reward parts", x: "part", y: "mean" });
    /// assert(p.to_string().contains("-0.2"));
    /// ```
    #[rhai_fn(name = "bar", return_raw)]
    pub fn bar_with(ctx: NativeCallContext, values: Dynamic, settings: Map) -> Answer<Plot> {
        let words = Settings::read(&ctx, "plot::bar", settings, Words::read)?;
        let bars = super::values::bars(&values).at(&ctx)?;
        Ok(words.around(Plot::bars(bars)))
    }
}

#[export_module]
mod members {
    /// Writes the plot to a file that ends in `.svg` or `.png`, in a folder that is there.
    ///
    /// ```rhai
    /// let p = plot::line([3.0, 2.0, 1.0], #{ title: "loss" });
    /// assert_eq(p.save("target/loss.svg"), ());
    /// ```
    #[rhai_fn(global, name = "save", pure, return_raw)]
    pub fn save_plot(ctx: NativeCallContext, p: &mut Plot, path: &str) -> Answer<()> {
        let path = Path::new(path);
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let bytes = match extension.to_str() {
            Some("svg") => p.to_svg().into_bytes(),
            Some("png") => p.to_png(PNG_WIDTH).at(&ctx)?,
            _ => {
                let expected = "a name that ends in .svg or .png";
                return Err(Error::value("plot file", path.display(), expected)).at(&ctx);
            }
        };
        write_file(path, &bytes).at(&ctx)
    }
}
