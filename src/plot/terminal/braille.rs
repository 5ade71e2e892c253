//! A field of braille dots, two by four to a character, with marks on top.

use super::paint;

/// The field. Each cell knows who drew in it last, so that it can have their colour.
pub struct Dots {
    width: usize,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    bits: u8,
    mark: Option<char>,
    owner: usize,
}

impl Dots {
    /// An empty field of `width` by `rows` characters.
    pub fn new(width: usize, rows: usize) -> Self {
        Self {
            width,
            cells: vec![Cell::default(); width * rows],
        }
    }

    fn dot(&mut self, x: usize, y: usize, owner: usize) {
        /// Bits of the dots of a braille character, by column and row.
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        if let Some(cell) = self.cells.get_mut(y / 4 * self.width + x / 2) {
            cell.bits |= BITS[x % 2][y % 4];
            cell.owner = owner;
        }
    }

    /// A line between two places in dots.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), owner: usize) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps = dx.abs().max(dy.abs()).ceil().max(1.0) as usize;
        for i in 0..=steps {
            let t = i as f64 / steps as f64;
            let (x, y) = (from.0 + t * dx, from.1 + t * dy);
            self.dot(x.round() as usize, y.round() as usize, owner);
        }
    }

    /// Puts a mark at a place in dots, unless there is one.
    pub fn mark(&mut self, at: (f64, f64), mark: char, owner: usize) {
        let (x, y) = (at.0.round() as usize / 2, at.1.round() as usize / 4);
        let cell = self.cells.get_mut(y * self.width + x);
        if let Some(cell) = cell.filter(|cell| cell.mark.is_none()) {
            (cell.mark, cell.owner) = (Some(mark), owner);
        }
    }

    /// The field as lines of text.
    pub fn lines(&self, colour: bool) -> Vec<String> {
        let rows = self.cells.chunks(self.width);
        rows.map(|row| {
            let runs = row.chunk_by(|a, b| a.owner == b.owner);
            runs.map(|run| {
                let text: String = run.iter().map(Cell::character).collect();
                paint::coloured(&text, paint::curve(run[0].owner, colour))
            })
            .collect()
        })
        .collect()
    }
}

impl Cell {
    fn character(&self) -> char {
        match (self.mark, self.bits) {
            (Some(mark), _) => mark,
            (None, 0) => ' ',
            (None, bits) => char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' '),
        }
    }
}
