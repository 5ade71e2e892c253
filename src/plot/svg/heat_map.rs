//! Heat maps: one path for each colour, so that a large matrix stays a small file.

use super::super::grid::{Grid, shown};
use super::super::palette::heat;
use super::super::scale::{Scale, short};
use super::Plot;
use super::page::{Anchor, HEIGHT, Page, WIDTH, fit_width, text_width};
use std::collections::BTreeMap;
use std::fmt::Write;

const BOTTOM: f64 = HEIGHT - 52.0;
/// The room for the key at the right.
const KEY: f64 = 86.0;
/// More cells than this each way would be smaller than two pixels.
const MOST: usize = 256;
/// Steps of the colours; the last level is for cells that are not numbers.
const LEVELS: usize = 64;
const NAN: &str = "#cccccc";

pub fn draw(plot: &Plot, grid: &Grid) -> Page {
    let scale = grid.scale();
    let (small, [down, across]) = grid.reduced(MOST, MOST);
    let names = small.row_names.iter().map(|name| text_width(name));
    let widest = names.fold(text_width(&grid.rows.to_string()), f64::max);
    let beside = widest.clamp(20.0, 160.0) + if plot.y.is_empty() { 16.0 } else { 40.0 };
    let top = if plot.title.is_empty() { 14.0 } else { 36.0 };
    let room = [WIDTH - KEY - beside, BOTTOM - top];
    let [wide, high] = cell(&small, room);
    let size = [wide * small.columns as f64, high * small.rows as f64];
    // The map with its words and key stands in the middle of the page.
    let left = beside + (room[0] - size[0]) / 2.0;
    let (right, bottom) = (left + size[0], top + size[1]);
    let mut page = Page::new((bottom + 52.0).max(160.0));
    page.title(&plot.title);
    page.add(format_args!(
        "<g transform=\"translate({left:.1} {top:.1}) scale({wide:.4} {high:.4})\" \
         shape-rendering=\"crispEdges\">"
    ));
    for (level, path) in paths(&small, &scale) {
        let fill = fill(level);
        page.add(format_args!("<path d=\"{path}\" fill=\"{fill}\"/>"));
    }
    page.add(format_args!("</g>"));
    rows(&mut page, &small, down, [left, top, high]);
    columns(&mut page, &small, across, [left, bottom, wide]);
    let (middle, below) = ((left + right) / 2.0, bottom + 40.0);
    page.text(
        middle,
        below,
        Anchor::Middle,
        &fit_width(&plot.x, WIDTH - beside),
    );
    let middle = (top + bottom) / 2.0;
    page.text_upwards(left - beside + 16.0, middle, &fit_width(&plot.y, room[1]));
    key(
        &mut page,
        &scale,
        grid.has_nan(),
        [right + 24.0, top, bottom],
    );
    if (down, across) != (1, 1) {
        let note = format!("means of {down} by {across} cells");
        page.text(WIDTH - 8.0, below, Anchor::End, &note);
    }
    page
}

/// The size of a cell: square where that leaves no more than half of the room empty, otherwise
/// longer one way, within reason.
fn cell(grid: &Grid, room: [f64; 2]) -> [f64; 2] {
    let wide = room[0] / grid.columns.max(1) as f64;
    let high = room[1] / grid.rows.max(1) as f64;
    let side = wide.min(high);
    if side * 2.0 >= wide.max(high) {
        return [side, side];
    }
    let longer = 2.0 * side.max(40.0);
    [wide.min(longer), high.min(longer)]
}

/// Names of rows at their left, as many as fit.
fn rows(page: &mut Page, grid: &Grid, down: usize, [left, top, each]: [f64; 3]) {
    let room = (each * grid.rows as f64) as usize;
    let mut free = 0.0;
    for (i, text) in shown(&grid.row_names, grid.rows, down, (room, 14)) {
        let at = top + each * (i as f64 + 0.5) + 4.0;
        if at >= free {
            page.text(left - 6.0, at, Anchor::End, &fit_width(&text, 160.0));
            free = at + 13.0;
        }
    }
}

/// Names of columns below them, as many as fit.
fn columns(page: &mut Page, grid: &Grid, across: usize, [left, bottom, each]: [f64; 3]) {
    let room = (each * grid.columns as f64) as usize;
    let widest = text_width(&(grid.columns * across).to_string()) as usize + 8;
    let mut free = 0.0;
    for (i, text) in shown(&grid.column_names, grid.columns, across, (room, widest)) {
        let text = fit_width(&text, (each - 4.0).max(90.0));
        let (at, half) = (left + each * (i as f64 + 0.5), text_width(&text) / 2.0);
        if at - half >= free {
            page.text(at, bottom + 18.0, Anchor::Middle, &text);
            free = at + half + 6.0;
        }
    }
}

/// The cells of each level as runs along the rows, in units of cells.
fn paths(grid: &Grid, scale: &Scale) -> BTreeMap<usize, String> {
    let level = |value: f64| match value.is_nan() {
        true => LEVELS,
        false => ((scale.place(value) * LEVELS as f64) as usize).min(LEVELS - 1),
    };
    let mut paths: BTreeMap<usize, String> = BTreeMap::new();
    for row in 0..grid.rows {
        let levels: Vec<usize> = (0..grid.columns).map(|i| level(grid.at(row, i))).collect();
        let mut column = 0;
        for run in levels.chunk_by(|a, b| a == b) {
            let (path, long) = (paths.entry(run[0]).or_default(), run.len());
            // A text is written into memory, which cannot fail.
            let _ = write!(path, "M{column},{row}h{long}v1h-{long}z");
            column += long;
        }
    }
    paths
}

fn fill(level: usize) -> String {
    match level {
        LEVELS => NAN.into(),
        _ => {
            let [r, g, b] = heat(level as f64 / (LEVELS - 1) as f64);
            format!("#{r:02x}{g:02x}{b:02x}")
        }
    }
}

/// The colours from the lowest value, below, to the highest.
fn key(page: &mut Page, scale: &Scale, has_nan: bool, [left, top, bottom]: [f64; 3]) {
    let bottom = bottom.max(top + 60.0) - if has_nan { 24.0 } else { 0.0 };
    let steps = 32;
    let each = (bottom - top) / f64::from(steps);
    for step in 0..steps {
        let level = (f64::from(step) / f64::from(steps - 1) * (LEVELS - 1) as f64) as usize;
        let y = bottom - f64::from(step + 1) * each;
        page.rectangle([left, y, 12.0, each + 0.5], &fill(level));
    }
    page.text(left + 17.0, top + 9.0, Anchor::Start, &short(scale.high));
    page.text(left + 17.0, bottom, Anchor::Start, &short(scale.low));
    if has_nan {
        page.rectangle([left, bottom + 12.0, 12.0, 12.0], NAN);
        page.text(left + 17.0, bottom + 22.0, Anchor::Start, "NaN");
    }
}
