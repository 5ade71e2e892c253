//! Properties of every kind of plot.

use super::*;
use unicode_width::UnicodeWidthStr;

fn ys(name: &str, values: impl IntoIterator<Item = f64>) -> Series {
    let points = values.into_iter().enumerate();
    Series::named(name, points.map(|(i, y)| (i as f64, y)).collect())
}

/// Plots of every kind, with what goes wrong most easily.
fn plots() -> Vec<Plot> {
    let odd = [
        f64::NAN,
        0.0,
        f64::INFINITY,
        -3.5,
        f64::NEG_INFINITY,
        7.0,
        f64::NAN,
    ];
    let huge = [f64::MAX, 0.0, f64::MIN, 1e300];
    let tiny = [1e-300, 5e-324, 3e-300, -2e-300];
    let many: Vec<f64> = (0..5000).map(|i| f64::from(i * i % 997)).collect();
    let lists: Vec<&[f64]> = vec![
        &[],
        &[2.0],
        &[2.0; 9],
        &[f64::NAN],
        &odd,
        &huge,
        &tiny,
        &many,
    ];
    let long =
        "a \"long\" <name> & more, 很长的名字, \u{1b}[31mand\n\u{0}\u{ffff} the rest ".repeat(4);
    let mut plots = vec![
        Plot::default(),
        Plot::bars(vec![]),
        Plot::heat_map(Grid::default()),
    ];
    for values in lists {
        let named = |i: usize| ys(&format!("{i} {long}"), values.iter().copied());
        plots.push(Plot::line(vec![ys("", values.iter().copied())]));
        plots.push(Plot::line((0..12).map(named).collect()).smooth(3));
        plots.push(Plot::histogram(values, None));
        plots.push(Plot::histogram(values, Some(300)));
        let bars = values.iter().take(70).enumerate();
        let bars = bars.map(|(i, v)| Bar::named(format!("{i} {long}"), *v));
        plots.push(Plot::bars(bars.collect()));
        for columns in [1, values.len().max(1), 50] {
            let rows = values.len() / columns;
            let cells = values[..rows * columns].to_vec();
            let grid = Grid::new(rows, columns, cells).unwrap();
            let names = |n: usize| (0..n).map(|i| format!("{i} {long}")).collect();
            plots.push(Plot::heat_map(grid.clone()));
            plots.push(Plot::heat_map(
                grid.named(names(rows), names(columns)).unwrap(),
            ));
        }
    }
    let words = plots
        .clone()
        .into_iter()
        .map(|plot| plot.titled(&long).labelled(&long, &long));
    plots.extend(words.collect::<Vec<_>>());
    plots
}

/// Takes colours out of a text.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
}

#[test]
fn no_line_is_wider_than_the_terminal_and_colours_are_only_where_asked_for() {
    for plot in plots() {
        for columns in [0, 40, 80, 120] {
            for rows in [0, 14] {
                for colour in [false, true] {
                    let screen = Screen {
                        columns,
                        rows,
                        colour,
                    };
                    let text = plot.to_text(&screen);
                    assert!(colour || !text.contains('\u{1b}'), "{text}");
                    for line in plain(&text).lines() {
                        let width = line.width();
                        assert!(width <= columns.max(40), "{width} > {columns}:\n{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn colours_do_not_move_anything_but_the_cells_of_a_heat_map() {
    for plot in plots() {
        if !matches!(plot.kind, Kind::HeatMap(_)) {
            let of = |colour| {
                plot.to_text(&Screen {
                    colour,
                    ..Screen::default()
                })
            };
            let lines = |text: String| -> Vec<String> {
                text.lines()
                    .map(|line| line.trim_end().to_string())
                    .collect()
            };
            assert_eq!(lines(plain(&of(true))), lines(of(false)));
        }
    }
}

#[test]
fn a_rising_line_goes_from_corner_to_corner() {
    let plot = Plot::line(vec![ys("y", (0..50).map(|i| f64::from(i) / 49.0))]);
    let plot = plot.titled("up").labelled("step", "loss");
    let text = plot.to_text(&Screen {
        columns: 40,
        rows: 6,
        colour: false,
    });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2 + 6 + 3, "{text}");
    assert!(lines[0].trim() == "up" && lines[1].trim() == "loss");
    assert!(
        lines[2].starts_with(" 1.0 ┤") && lines[2].chars().count() == 40,
        "{text}"
    );
    assert!(
        !lines[7].split(['│', '┤']).nth(1).unwrap().starts_with(' '),
        "{text}"
    );
}

#[test]
fn curves_that_cover_each_other_are_told_apart_without_colour() {
    let same = |name: &str| ys(name, (0..100).map(|i| f64::from(i).sqrt()));
    let text = Plot::line(vec![same("train"), same("test")]).to_text(&Screen::default());
    let (drawing, legend) = text.rsplit_once('\n').unwrap();
    assert_eq!(legend.trim(), "● train   ▲ test");
    assert!(
        drawing.matches('●').count() > 2 && drawing.matches('▲').count() > 2,
        "{text}"
    );
}

#[test]
fn heights_of_a_histogram_are_read_from_its_axis() {
    let values = [vec![0.0; 10], vec![1.0; 5], vec![2.0; 1], vec![f64::NAN]].concat();
    let plot = Plot::histogram(&values, Some(3));
    let text = plot.to_text(&Screen {
        columns: 40,
        rows: 10,
        colour: false,
    });
    let of = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
    assert_eq!(
        of("  10").matches('█').count(),
        of("   5").matches('█').count() / 2,
        "{text}"
    );
    assert!(text.ends_with("n = 16; left out: 1 NaN"), "{text}");
}

#[test]
fn row_0_of_a_heat_map_is_on_top_and_column_0_at_the_left() {
    let grid = Grid::new(2, 2, vec![9.0, 0.0, 0.0, f64::NAN]).unwrap();
    let text = Plot::heat_map(grid.clone()).to_text(&Screen {
        columns: 40,
        rows: 4,
        colour: false,
    });
    let cells: Vec<&str> = text
        .lines()
        .take(4)
        .map(|line| line.split(['│', '┤']).nth(1).unwrap())
        .collect();
    assert!(
        cells[0].starts_with("██") && !cells[0].contains('×'),
        "{text}"
    );
    assert!(
        cells[3].starts_with("  ") && cells[3].ends_with("××"),
        "{text}"
    );
    let svg = Plot::heat_map(grid).to_svg();
    assert!(
        svg.contains("<path d=\"M0,0h1v1h-1z\" fill=\"#fde725\"/>"),
        "{svg}"
    );
    assert!(
        svg.contains("<path d=\"M1,1h1v1h-1z\" fill=\"#cccccc\"/>"),
        "{svg}"
    );
}

#[test]
fn bars_go_both_ways_from_zero() {
    let bars = [("up", 2.0), ("down", -2.0), ("little", 1e-9), ("none", 0.0)];
    let plot = Plot::bars(bars.map(|(name, value)| Bar::named(name, value)).to_vec());
    let text = plot.to_text(&Screen::default());
    let lines: Vec<(&str, &str)> = text.lines().map(|l| l.split_once('│').unwrap()).collect();
    let full = |text: &str| text.matches('█').count();
    assert!(full(lines[0].1) > 20 && full(lines[0].0) == 0, "{text}");
    assert!(full(lines[1].0) > 20 && full(lines[1].1) == 0, "{text}");
    assert!(
        lines[2].1.starts_with('▏') && lines[3].1.starts_with(' '),
        "{text}"
    );
}

#[test]
fn a_million_points_are_a_small_file_that_keeps_the_peak() {
    let mut values: Vec<f64> = (0..1_000_000).map(|i| f64::from(i % 10)).collect();
    values[500_000] = 1000.0;
    let svg = Plot::line(vec![ys("", values)]).to_svg();
    assert!(svg.len() < 30_000, "{}", svg.len());
    // The frame has 4 parts in 108 above the highest value.
    let top = 14.0 + (312.0 - 14.0) * 0.04 / 1.08;
    assert!(svg.contains(&format!(",{top:.1}L")), "{svg}");
    let cells = (0..1_000_000).map(|i| f64::from(i % 1009)).collect();
    let svg = Plot::heat_map(Grid::new(1000, 1000, cells).unwrap()).to_svg();
    assert!(svg.len() < 2_000_000, "{}", svg.len());
}

#[test]
fn words_are_escaped_and_said() {
    let plot = Plot::line(vec![ys("a<b", [1.0]), ys("c", [2.0])]).titled("\"x\" & 'y'");
    let svg = plot.to_svg();
    let title = "<title>&quot;x&quot; &amp; &#39;y&#39; (Line plot of a&lt;b, c)</title>";
    assert!(svg.contains(title) && svg.contains("role=\"img\""), "{svg}");
}

#[cfg(not(feature = "png"))]
#[test]
fn without_the_feature_the_error_names_it() {
    let error = Plot::default().to_png(100).unwrap_err().to_string();
    assert!(
        error.contains("feature `png`") && error.contains(".svg"),
        "{error}"
    );
}

#[cfg(feature = "png")]
mod painted {
    use super::*;
    use resvg::{tiny_skia::Pixmap, usvg};

    #[test]
    fn every_svg_is_well_formed_and_its_numbers_are_numbers() {
        for plot in plots() {
            let svg = plot.to_svg();
            usvg::Tree::from_str(&svg, &usvg::Options::default())
                .unwrap_or_else(|e| panic!("{e}\n{svg}"));
            let numbers = svg.split_once("</title>").unwrap().1.split("<text");
            for element in numbers.flat_map(|part| part.split('<')) {
                let drawn = element.split('>').next().unwrap_or_default();
                assert!(
                    !drawn.contains("NaN") && !drawn.contains("inf"),
                    "{element}"
                );
            }
        }
    }

    fn pixels(plot: &Plot, width: usize) -> Pixmap {
        Pixmap::decode_png(&plot.to_png(width).unwrap()).unwrap()
    }

    #[test]
    fn a_png_has_the_width_asked_for_and_shows_curve_and_words() {
        let curve = Plot::line(vec![ys("", [1.0, 3.0, 2.0])]);
        let bars = Plot::bars(vec![Bar::named("a", 1.0)]);
        for plot in [&curve, &bars, &Plot::histogram(&[1.0, 2.0], None)] {
            let picture = pixels(plot, 333);
            assert_eq!(picture.width(), 333);
            let is_blue =
                |p: &resvg::tiny_skia::PremultipliedColorU8| p.blue() > 150 && p.red() < 50;
            assert!(picture.pixels().iter().filter(|p| is_blue(p)).count() > 100);
        }
        let dark = |plot: &Plot| {
            let picture = pixels(plot, 640);
            picture.pixels().iter().filter(|p| p.red() < 100).count()
        };
        let titled = curve.clone().titled("Reward");
        let untitled = curve.clone().titled(" ");
        assert!(dark(&titled) > dark(&untitled) + 50);
    }

    #[test]
    fn a_width_that_cannot_be_is_refused() {
        for width in [0, 8193, usize::MAX] {
            let error = Plot::default().to_png(width).unwrap_err().to_string();
            assert!(
                error.contains(&width.to_string()) && error.contains("8192"),
                "{error}"
            );
        }
    }
}
