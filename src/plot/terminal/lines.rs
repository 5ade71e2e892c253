//! Curves in braille; several are told apart by marks on them, which the legend names.

use super::super::scale::Scale;
use super::braille::Dots;
use super::frame::{Frame, entry, room};
use super::{Plot, Screen, paint};
use crate::plot::Series;

/// Marks of the first curves; further ones have letters.
const MARKS: [char; 8] = ['●', '▲', '■', '◆', '○', '△', '□', '◇'];
/// Columns between two marks of one curve.
const APART: usize = 16;

fn mark(i: usize) -> char {
    match MARKS.get(i) {
        Some(mark) => *mark,
        None => char::from(b'a' + ((i - MARKS.len()) % 26) as u8),
    }
}

pub fn draw(plot: &Plot, series: &[Series], screen: &Screen) -> Vec<String> {
    let finite = || series.iter().flat_map(Series::finite);
    let x = Scale::around(finite().map(|p| p.0));
    let y = Scale::around(finite().map(|p| p.1));
    let row = |value: f64| ((1.0 - y.place(value)) * (screen.rows - 1) as f64).round() as usize;
    let y_ticks: Vec<(usize, String)> = y
        .ticks((screen.rows / 2).clamp(2, 10))
        .into_iter()
        .map(|(value, text)| (row(value), text))
        .collect();
    let width = room(screen, y_ticks.iter().map(|(_, text)| text.as_str()));
    let column = |value: f64| (x.place(value) * (width - 1) as f64).round() as usize;
    let x_ticks = x.ticks((width / 8).clamp(2, 10));
    let place = |point: &(f64, f64)| {
        let down = (1.0 - y.place(point.1)) * (4 * screen.rows - 1) as f64;
        (x.place(point.0) * (2 * width - 1) as f64, down)
    };
    let mut dots = Dots::new(width, screen.rows);
    let curves: Vec<Vec<Vec<(f64, f64)>>> = series
        .iter()
        .map(|one| {
            let pieces = one.pieces(2 * width, &x).into_iter();
            pieces
                .map(|piece| piece.iter().map(place).collect())
                .collect()
        })
        .collect();
    for (i, pieces) in curves.iter().enumerate() {
        for piece in pieces {
            dots.line(piece[0], piece[0], i);
            for pair in piece.windows(2) {
                dots.line(pair[0], pair[1], i);
            }
        }
    }
    mark_all(&mut dots, &curves);
    let frame = Frame {
        body: dots.lines(screen.colour),
        width,
        y_ticks,
        x_ticks: x_ticks
            .into_iter()
            .map(|(value, text)| (column(value), text))
            .collect(),
        x: plot.x.clone(),
        y: plot.y.clone(),
    };
    frame.lines(plot, screen, legend(series, screen.colour, width))
}

fn legend(series: &[Series], colour: bool, room: usize) -> Vec<String> {
    if series.iter().all(|one| one.finite().next().is_none()) {
        return vec!["no points".into()];
    }
    if series.len() < 2 {
        return Vec::new();
    }
    let entries = series.iter().enumerate();
    entries
        .map(|(i, one)| {
            entry(
                &mark(i).to_string(),
                &one.name,
                room,
                paint::curve(i, colour),
            )
        })
        .collect()
}

/// Marks each of several curves at its end and every few columns, those of another curve between
/// them. A curve alone needs marks only where it is a single point, which a dot would hide.
fn mark_all(dots: &mut Dots, curves: &[Vec<Vec<(f64, f64)>>]) {
    for (i, pieces) in curves.iter().enumerate() {
        let count: usize = pieces.iter().map(Vec::len).sum();
        if let Some(end) = pieces.last().and_then(|piece| piece.last())
            && (curves.len() > 1 || count == 1)
        {
            dots.mark(*end, mark(i), i);
        }
    }
    if curves.len() < 2 {
        return;
    }
    for (i, pieces) in curves.iter().enumerate() {
        let own = APART * i / curves.len();
        let mut next = 2.0 * own as f64;
        for (from, to) in pieces
            .iter()
            .flat_map(|p| p.windows(2))
            .map(|p| (p[0], p[1]))
        {
            while to.0 > from.0 && next <= to.0 {
                let part = ((next - from.0) / (to.0 - from.0)).max(0.0);
                let at = (
                    from.0 + part * (to.0 - from.0),
                    from.1 + part * (to.1 - from.1),
                );
                dots.mark(at, mark(i), i);
                next += 2.0 * APART as f64;
            }
        }
    }
}
