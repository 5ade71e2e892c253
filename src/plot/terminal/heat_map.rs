//! Heat maps: by shades, or by coloured halves of characters.

use super::super::grid::{Grid, shown};
use super::super::palette::heat;
use super::super::scale::{Scale, short};
use super::super::text::width;
use super::frame::{Frame, room};
use super::{Plot, Screen, paint};

const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// What stands for a cell that is not a number where there is no colour.
const NAN: char = '×';
/// A small matrix is enlarged, but not beyond this many columns a cell.
const WIDEST: usize = 8;

pub fn draw(plot: &Plot, grid: &Grid, screen: &Screen) -> Vec<String> {
    let scale = grid.scale();
    // Two cells of a column share a line where there are colours for both halves.
    let lines = if screen.colour {
        2 * screen.rows
    } else {
        screen.rows
    };
    let row_texts: Vec<String> = match grid.row_names.is_empty() {
        true => vec![grid.rows.to_string()],
        false => grid.row_names.clone(),
    };
    let room = room(screen, row_texts.iter().map(String::as_str));
    let (small, [down, across]) = grid.reduced(lines, room);
    let (rows, columns) = (small.rows.max(1), small.columns.max(1));
    // A character is about twice as high as wide; so is a cell of two columns and one line.
    let tall = (lines / rows).min(if screen.colour { WIDEST } else { WIDEST / 2 });
    let square = if screen.colour { tall } else { 2 * tall };
    let each = (room / columns).clamp(1, WIDEST.min(square));
    let tall = tall
        .min(if screen.colour {
            each
        } else {
            each.div_ceil(2)
        })
        .max(1);
    // Cells may be wider than high, so that the names below them have room.
    let names = small.column_names.iter().map(|name| width(name) + 1);
    let each = names
        .max()
        .unwrap_or(1)
        .min(room / columns)
        .clamp(each, WIDEST.max(each));
    let body = match screen.colour {
        true => halves(&small, &scale, tall, each),
        false => shades(&small, &scale, tall, each),
    };
    let per_line = if screen.colour { 2 } else { 1 };
    let middle = |row: usize| (row * tall + (tall - 1) / 2) / per_line;
    let widest = grid.columns.saturating_sub(1).to_string().len() + 2;
    let row_names = shown(&small.row_names, small.rows, down, (body.len(), 1));
    let column_names = shown(
        &small.column_names,
        small.columns,
        across,
        (each * columns, widest),
    );
    let frame = Frame {
        width: each * columns,
        y_ticks: row_names.map(|(row, name)| (middle(row), name)).collect(),
        x_ticks: column_names
            .map(|(column, name)| (column * each + (each - 1) / 2, name))
            .collect(),
        body,
        x: plot.x.clone(),
        y: plot.y.clone(),
    };
    let mut legend = vec![key(&scale, screen.colour)];
    if grid.has_nan() {
        let mark = if screen.colour {
            paint::coloured("█", Some(paint::NAN))
        } else {
            NAN.into()
        };
        legend.push(format!("{mark} NaN"));
    }
    if (down, across) != (1, 1) {
        legend.push(format!("means of {down} by {across}"));
    }
    frame.lines(plot, screen, legend)
}

fn shades(grid: &Grid, scale: &Scale, tall: usize, each: usize) -> Vec<String> {
    let shade = |value: f64| match value.is_nan() {
        true => NAN,
        false => SHADES[((scale.place(value) * 5.0) as usize).min(4)],
    };
    let line = |row: usize| -> String {
        let cells = (0..grid.columns).map(|column| shade(grid.at(row, column)));
        cells
            .flat_map(|shade| std::iter::repeat_n(shade, each))
            .collect()
    };
    (0..grid.rows * tall).map(|i| line(i / tall)).collect()
}

fn halves(grid: &Grid, scale: &Scale, tall: usize, each: usize) -> Vec<String> {
    let colour = |i: usize, column: usize| {
        let row = i / tall;
        (row < grid.rows).then(|| match grid.at(row, column) {
            value if value.is_nan() => paint::NAN,
            value => paint::nearest(heat(scale.place(value))),
        })
    };
    let line = |line: usize| -> String {
        let cell = |column: usize| {
            let (upper, lower) = (colour(2 * line, column), colour(2 * line + 1, column));
            paint::halves(upper, lower).repeat(each)
        };
        (0..grid.columns).map(cell).collect()
    };
    (0..(grid.rows * tall).div_ceil(2)).map(line).collect()
}

/// The shades from the lowest value to the highest.
fn key(scale: &Scale, colour: bool) -> String {
    let bar: String = match colour {
        true => {
            let steps = (0..10).map(|i| paint::nearest(heat(f64::from(i) / 9.0)));
            steps.map(|step| paint::coloured("█", Some(step))).collect()
        }
        false => SHADES.iter().flat_map(|shade| [*shade, *shade]).collect(),
    };
    format!("{} [{bar}] {}", short(scale.low), short(scale.high))
}
