//! Curves.

use super::super::scale::Scale;
use super::frame::{Frame, stroke};
use super::page::{Page, WIDTH};
use super::{COLOURS, Plot};
use crate::plot::Series;
use std::fmt::Write;

pub fn draw(plot: &Plot, series: &[Series]) -> Page {
    let finite = || series.iter().flat_map(Series::finite);
    let x = Scale::around(finite().map(|p| p.0));
    let y = Scale::around(finite().map(|p| p.1)).with_room(0.04);
    let names: Vec<&str> = series.iter().map(|one| one.name.as_str()).collect();
    let legend = if names.len() > 1 { names } else { Vec::new() };
    let (mut page, frame) = Frame::begin(plot, x, y, &legend);
    for (i, one) in series.iter().enumerate() {
        curve(&mut page, &frame, one, i);
    }
    page
}

/// One path for a curve's pieces, and dots for the points that have no neighbour.
fn curve(page: &mut Page, frame: &Frame, series: &Series, i: usize) {
    let mut path = String::new();
    let mut dots = String::new();
    for piece in series.pieces(WIDTH as usize, &frame.x) {
        let alone = piece.len() == 1;
        for (at, (x, y)) in piece.iter().enumerate() {
            let (x, y) = (frame.across(*x), frame.down(*y));
            // A text is written into memory, which cannot fail.
            let _ = match alone {
                true => write!(dots, "M{x:.1},{y:.1}h0"),
                false => write!(path, "{}{x:.1},{y:.1}", if at == 0 { "M" } else { "L" }),
            };
        }
    }
    if !path.is_empty() {
        page.add(format_args!("<path d=\"{path}\" {}/>", stroke(i)));
    }
    if !dots.is_empty() {
        let colour = COLOURS[i % COLOURS.len()];
        page.add(format_args!(
            "<path d=\"{dots}\" stroke=\"{colour}\" stroke-width=\"5\" stroke-linecap=\"round\"/>"
        ));
    }
}
