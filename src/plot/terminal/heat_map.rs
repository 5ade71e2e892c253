//! Heat maps: by shades, or by coloured halves of characters.

use super::super::grid::{Grid, shown};
use super::super::scale::{Scale, short};
use super::super::text::width;
use super::frame::{Frame, room};
use super::{Plot, Screen, paint};

const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// What stands for a cell that is not a number where there is no colour.
const NAN: char = '×';
/// A small matrix is enlarged, but not beyond this many columns a cell.
const WIDEST: usize = 8;

/// The size of a cell as it is drawn.
#[derive(Clone, Copy)]
struct Cell {
    /// Its height in units: lines, or halves of them.
    tall: usize,
    /// Its width in columns.
    wide: usize,
}

impl Cell {
    /// About square (a character is twice as high as wide), as large as the room and `WIDEST`
    /// allow; but wider where names below have more room then.
    fn of(grid: &Grid, units: usize, room: usize, per_line: usize) -> Self {
        let columns = grid.columns.max(1);
        let most = (units / grid.rows.max(1)).min(WIDEST * per_line / 2);
        let wide = (room / columns).clamp(1, WIDEST.min(most * 2 / per_line).max(1));
        let tall = most.min((wide * per_line).div_ceil(2)).max(1);
        let names = grid.column_names.iter().map(|name| width(name) + 1);
        let named = names.max().unwrap_or(1).min(room / columns).min(WIDEST);
        Self {
            tall,
            wide: wide.max(named),
        }
    }
}

pub fn draw(plot: &Plot, grid: &Grid, screen: &Screen) -> Vec<String> {
    let scale = grid.scale();
    // Two cells share a line where there are colours for both halves of a character.
    let per_line = if screen.colour { 2 } else { 1 };
    let number = [grid.rows.to_string()];
    let row_texts = if grid.row_names.is_empty() {
        &number[..]
    } else {
        &grid.row_names
    };
    let room = room(screen, row_texts.iter().map(String::as_str));
    let units = per_line * screen.rows;
    let (small, [down, across]) = grid.reduced(units, room);
    let cell = Cell::of(&small, units, room, per_line);
    let body = match screen.colour {
        true => halves(&small, &scale, cell),
        false => shades(&small, &scale, cell),
    };
    let all = cell.wide * small.columns.max(1);
    let number = grid.columns.saturating_sub(1).to_string().len() + 2;
    let row_names = shown(&small.row_names, small.rows, down, (body.len(), 1));
    let column_names = shown(&small.column_names, small.columns, across, (all, number));
    let line = |row: usize| (row * cell.tall + (cell.tall - 1) / 2) / per_line;
    let column = |column: usize| column * cell.wide + (cell.wide - 1) / 2;
    let frame = Frame {
        width: all,
        y_ticks: row_names.map(|(i, name)| (line(i), name)).collect(),
        x_ticks: column_names.map(|(i, name)| (column(i), name)).collect(),
        body,
        x: plot.x.clone(),
        y: plot.y.clone(),
    };
    frame.lines(
        plot,
        screen,
        legend(grid, &scale, [down, across], screen.colour),
    )
}

/// The key to the shades, and what else a reader has to know.
fn legend(grid: &Grid, scale: &Scale, [down, across]: [usize; 2], colour: bool) -> Vec<String> {
    if grid.values.is_empty() {
        return vec!["no values".into()];
    }
    let mut legend = vec![key(scale, colour)];
    if grid.has_nan() {
        let mark = match colour {
            true => paint::coloured("█", Some(paint::NAN)),
            false => NAN.to_string(),
        };
        legend.push(format!("{mark} NaN"));
    }
    if (down, across) != (1, 1) {
        legend.push(format!("means of {down} by {across}"));
    }
    legend
}

fn shades(grid: &Grid, scale: &Scale, cell: Cell) -> Vec<String> {
    let shade = |value: f64| match value.is_nan() {
        true => NAN,
        false => SHADES[((scale.place(value) * 5.0) as usize).min(4)],
    };
    let line = |row: usize| -> String {
        let cells = (0..grid.columns).map(|column| shade(grid.at(row, column)));
        cells
            .flat_map(|shade| std::iter::repeat_n(shade, cell.wide))
            .collect()
    };
    (0..grid.rows * cell.tall)
        .map(|i| line(i / cell.tall))
        .collect()
}

fn halves(grid: &Grid, scale: &Scale, cell: Cell) -> Vec<String> {
    let colour = |i: usize, column: usize| {
        let row = i / cell.tall;
        (row < grid.rows).then(|| match grid.at(row, column) {
            value if value.is_nan() => paint::NAN,
            value => paint::heat(scale.place(value)),
        })
    };
    let line = |line: usize| -> String {
        let both = |column: usize| (colour(2 * line, column), colour(2 * line + 1, column));
        let cells: Vec<_> = (0..grid.columns).map(both).collect();
        let runs = cells.chunk_by(|a, b| a == b);
        runs.map(|run| paint::halves(run[0], run.len() * cell.wide))
            .collect()
    };
    (0..(grid.rows * cell.tall).div_ceil(2)).map(line).collect()
}

/// The shades from the lowest value to the highest.
fn key(scale: &Scale, colour: bool) -> String {
    let bar: String = match colour {
        true => {
            let steps = (0..10).map(|i| paint::heat(f64::from(i) / 9.0));
            steps.map(|step| paint::coloured("█", Some(step))).collect()
        }
        false => SHADES.iter().flat_map(|shade| [*shade, *shade]).collect(),
    };
    format!("{} [{bar}] {}", short(scale.low), short(scale.high))
}
