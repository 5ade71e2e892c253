//! Plots as SVG.

use super::Plot;
use super::scale::{Scale, short};
use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 48.0;
/// Okabe and Ito's colours, told apart by colour-blind eyes too.
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

impl Plot {
    /// A standalone SVG document, 640 by 360.
    pub fn to_svg(&self) -> String {
        let (x_scale, y_scale) = Scale::of(self);
        let x = |value: f64| LEFT + x_scale.place(value) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - y_scale.place(value) * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        // `write!` to a string cannot fail.
        for tick in y_scale.ticks(5) {
            let (at, label) = (y(tick), short(tick));
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0
            );
        }
        for tick in x_scale.ticks(8) {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                x(tick),
                HEIGHT - BOTTOM + 18.0,
                short(tick)
            );
        }
        for (i, series) in self.series.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let finite = |(x, y): &&(f64, f64)| x.is_finite() && y.is_finite();
            let points: Vec<String> = series
                .points
                .iter()
                .filter(finite)
                .map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
                points.join(" ")
            );
            if self.series.len() > 1 {
                let _ = writeln!(
                    svg,
                    "<text x=\"{}\" y=\"{}\" fill=\"{colour}\" text-anchor=\"end\">{}</text>",
                    WIDTH - RIGHT - 4.0,
                    TOP + 14.0 + 16.0 * i as f64,
                    escape(&series.name)
                );
            }
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"22\" text-anchor=\"middle\" font-size=\"15\">{}</text>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"16\" y=\"{}\" text-anchor=\"middle\" \
             transform=\"rotate(-90 16 {})\">{}</text>\n</svg>",
            WIDTH / 2.0,
            escape(&self.title),
            WIDTH / 2.0,
            HEIGHT - 10.0,
            escape(&self.x),
            HEIGHT / 2.0,
            HEIGHT / 2.0,
            escape(&self.y)
        );
        svg
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
