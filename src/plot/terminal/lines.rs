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

/// Where curves are on a field of dots: their unbroken pieces.
type Traces = Vec<Vec<Vec<(f64, f64)>>>;

pub fn draw(plot: &Plot, series: &[Series], screen: &Screen) -> Vec<String> {
    let finite = || series.iter().flat_map(Series::finite);
    let x = Scale::around(finite().map(|p| p.0));
    let y = Scale::around(finite().map(|p| p.1));
    let row = |value: f64| ((1.0 - y.place(value)) * (screen.rows - 1) as f64).round() as usize;
    let y_ticks = y.ticks((screen.rows / 2).clamp(2, 10)).into_iter();
    let y_ticks: Vec<(usize, String)> = y_ticks.map(|(v, text)| (row(v), text)).collect();
    let width = room(screen, y_ticks.iter().map(|(_, text)| text.as_str()));
    let column = |value: f64| (x.place(value) * (width - 1) as f64).round() as usize;
    let x_ticks = x.ticks((width / 8).clamp(2, 10)).into_iter();
    let place = |point: &(f64, f64)| {
        let down = (1.0 - y.place(point.1)) * (4 * screen.rows - 1) as f64;
        (x.place(point.0) * (2 * width - 1) as f64, down)
    };
    let trace = |one: &Series| {
        let pieces = one.pieces(2 * width, &x);
        let pieces = pieces.iter().map(|piece| piece.iter().map(place).collect());
        pieces.collect()
    };
    let traces: Traces = series.iter().map(trace).collect();
    let frame = Frame {
        body: dots(&traces, width, screen.rows).lines(screen.colour),
        width,
        y_ticks,
        x_ticks: x_ticks.map(|(v, text)| (column(v), text)).collect(),
        x: plot.x.clone(),
        y: plot.y.clone(),
    };
    frame.lines(plot, screen, legend(series, screen.colour, width))
}

fn dots(traces: &Traces, width: usize, rows: usize) -> Dots {
    let mut dots = Dots::new(width, rows);
    for (i, pieces) in traces.iter().enumerate() {
        for piece in pieces {
            dots.line(piece[0], piece[0], i);
            for pair in piece.windows(2) {
                dots.line(pair[0], pair[1], i);
            }
        }
    }
    mark_ends(&mut dots, traces);
    if traces.len() > 1 {
        mark_on_the_way(&mut dots, traces);
    }
    dots
}

fn legend(series: &[Series], colour: bool, room: usize) -> Vec<String> {
    if series.iter().all(|one| one.finite().next().is_none()) {
        return vec!["no points".into()];
    }
    if series.len() < 2 {
        return Vec::new();
    }
    let marked = |(i, one): (usize, &Series)| {
        let colour = paint::curve(i, colour);
        entry(&mark(i).to_string(), &one.name, room, colour)
    };
    series.iter().enumerate().map(marked).collect()
}

/// Marks the last point of each of several curves, and points without a neighbour, which are easily
/// overlooked as single dots.
fn mark_ends(dots: &mut Dots, traces: &Traces) {
    for (i, pieces) in traces.iter().enumerate() {
        if let Some(end) = pieces.last().and_then(|piece| piece.last())
            && traces.len() > 1
        {
            dots.mark(*end, mark(i), i);
        }
        for alone in pieces.iter().filter(|piece| piece.len() == 1) {
            dots.mark(alone[0], mark(i), i);
        }
    }
}

/// Marks curves every few columns, each between the marks of the others, so that curves on top of
/// each other all show.
fn mark_on_the_way(dots: &mut Dots, traces: &Traces) {
    for (i, pieces) in traces.iter().enumerate() {
        let mut next = 2.0 * (APART * i / traces.len()) as f64;
        for pair in pieces.iter().flat_map(|piece| piece.windows(2)) {
            let (from, to) = (pair[0], pair[1]);
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
