//! Plots as SVG.

mod bars;
mod frame;
mod heat_map;
mod histogram;
mod lines;
mod page;

use super::{Kind, Plot};

/// Okabe and Ito's colours, told apart by colour-blind eyes too.
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

impl Plot {
    /// A standalone SVG document: 640 wide, and 360 high where the data do not ask for another
    /// height, as many bars do.
    pub fn to_svg(&self) -> String {
        let page = match &self.kind {
            Kind::Lines(series) => lines::draw(self, series),
            Kind::Histogram(histogram) => histogram::draw(self, histogram),
            Kind::HeatMap(grid) => heat_map::draw(self, grid),
            Kind::Bars(bars) => bars::draw(self, bars),
        };
        page.finish(&self.description())
    }
}
