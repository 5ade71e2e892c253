//! Rows and columns of short texts.

use super::inline;
use crate::plot::{fit, sparkline};
use crate::script::error::Answer;
use crate::script::settings::float;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use rhai::{Array as List, Dynamic, Engine, Map};
use std::collections::BTreeSet;

/// A table: a header, rows, and what is not shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// A line under the table.
    pub note: String,
    /// Columns of numbers, which stand to the right.
    pub numeric: Vec<bool>,
}

/// A longer text is cut.
const LONGEST: usize = 60;
/// A list of more numbers than this is shown by their curve, in so many characters.
const FEW: usize = 8;
const CURVE: usize = 32;
/// A column is never asked to be narrower than this.
const NARROWEST: usize = 12;
/// Of more rows than this the first and the last are shown.
const MOST_ROWS: usize = 20;
const LAST_ROWS: usize = 5;

/// Columns that come before the others.
const FIRST: [&str; 6] = ["step", "name", "prompt", "answer", "reward", "loss"];

impl Grid {
    /// A table of texts, with columns aligned by what stands in them.
    pub fn new(header: &[&str], rows: Vec<Vec<String>>) -> Self {
        let is_number =
            |text: &String| text.is_empty() || text == "…" || text.parse::<f64>().is_ok();
        let numeric = (0..header.len()).map(|i| {
            let mut column = rows.iter().filter_map(|row| row.get(i));
            column.clone().any(|text| !text.is_empty()) && column.all(is_number)
        });
        Self {
            numeric: numeric.collect(),
            header: header.iter().map(ToString::to_string).collect(),
            rows,
            note: String::new(),
        }
    }

    /// The table in so many columns of text. Columns that find no room are named under it.
    pub fn to_text(&self, columns: usize) -> String {
        let shown = self.fitting(columns);
        let mut table = Table::new();
        table
            .load_style(TableStyle::new().header_separator(LineStyle::none().fill('─')))
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(columns).unwrap_or(u16::MAX));
        if self.is_headed() {
            table.set_header(&self.header[..shown]);
        }
        for row in &self.rows {
            table.add_row(&row[..shown.min(row.len())]);
        }
        for (i, column) in table.column_iter_mut().enumerate() {
            if self.numeric.get(i) == Some(&true) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = table.to_string();
        let hidden = &self.header[shown..];
        if !hidden.is_empty() {
            let names = format!("and {}", hidden.join(", "));
            text.push_str(&format!("\n{}", cut(&names, columns.max(NARROWEST))));
        }
        if !self.note.is_empty() {
            text.push_str(&format!("\n{}", self.note));
        }
        text
    }

    fn is_headed(&self) -> bool {
        self.header.iter().any(|name| !name.is_empty())
    }

    /// How many columns find room, at least one.
    fn fitting(&self, columns: usize) -> usize {
        let mut room = columns;
        let mut count = 0;
        for (i, name) in self.header.iter().enumerate() {
            let cells = self.rows.iter().filter_map(|row| row.get(i));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            // A column of text may be broken into lines, a number not.
            let wanted = match self.numeric.get(i) {
                Some(true) => widest.max(name.chars().count()),
                _ => widest.max(name.chars().count()).min(NARROWEST),
            } + 2;
            if wanted > room && count > 0 {
                break;
            }
            room = room.saturating_sub(wanted);
            count += 1;
        }
        count
    }

    /// The table as HTML, everything escaped.
    pub fn to_html(&self) -> String {
        let row = |cells: &[String], tag: &str| {
            let cells = cells
                .iter()
                .map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
            format!("<tr>{}</tr>", cells.collect::<String>())
        };
        let body: String = self.rows.iter().map(|cells| row(cells, "td")).collect();
        let head = match self.is_headed() {
            true => format!("<thead>{}</thead>", row(&self.header, "th")),
            false => String::new(),
        };
        let mut html = format!("<table>{head}<tbody>{body}</tbody></table>");
        if !self.note.is_empty() {
            html.push_str(&format!("<p>{}</p>", escape(&self.note)));
        }
        html
    }
}

/// Text for HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The first rows of `count` maps, one column for each key.
pub fn of_maps<'a>(
    engine: &Engine,
    maps: impl Iterator<Item = &'a Map>,
    count: usize,
) -> Answer<Grid> {
    let maps: Vec<&Map> = maps.collect();
    let keys: BTreeSet<&str> = maps
        .iter()
        .flat_map(|m| m.keys().map(|k| k.as_str()))
        .collect();
    let first = FIRST.iter().copied().filter(|key| keys.contains(key));
    let others = keys.iter().copied().filter(|key| !FIRST.contains(key));
    let keys: Vec<&str> = first.chain(others).collect();
    let is_long = maps.len() > MOST_ROWS;
    let shown: Vec<usize> = match is_long {
        true => (0..MOST_ROWS - LAST_ROWS)
            .chain(maps.len() - LAST_ROWS..maps.len())
            .collect(),
        false => (0..maps.len()).collect(),
    };
    let mut rows = Vec::new();
    for (at, number) in shown.iter().enumerate() {
        if at > 0 && shown[at - 1] + 1 != *number {
            rows.push(vec!["…".to_string(); keys.len() + 1]);
        }
        let mut row = vec![number.to_string()];
        for key in &keys {
            row.push(match maps[*number].get(*key) {
                Some(value) => cell(engine, value)?,
                None => String::new(),
            });
        }
        rows.push(row);
    }
    let header: Vec<&str> = [""].into_iter().chain(keys).collect();
    let mut grid = Grid::new(&header, rows);
    if count > shown.len() {
        grid.note = format!("{} of {count} rows", shown.len());
    }
    Ok(grid)
}

/// A row for each key of a map.
pub fn of_map(engine: &Engine, map: &Map) -> Answer<Grid> {
    let rows = map
        .iter()
        .map(|(key, value)| Ok(vec![key.to_string(), cell(engine, value)?]));
    Ok(Grid::new(&["", ""], rows.collect::<Answer<_>>()?))
}

/// A value as one short line; many numbers as their curve.
pub fn cell(engine: &Engine, value: &Dynamic) -> Answer<String> {
    if let Ok(number) = value.as_float() {
        return Ok(short(number));
    }
    if value.is_string() {
        return Ok(cut(&value.to_string(), LONGEST));
    }
    if value.is_unit() {
        return Ok(String::new());
    }
    if let Some(list) = value.read_lock::<List>().filter(|list| list.len() > FEW) {
        let numbers: Option<Vec<f64>> = list.iter().map(float).collect();
        if let Some(numbers) = numbers {
            let curve = sparkline(&numbers, CURVE);
            return Ok(format!("{curve} ({} numbers)", numbers.len()));
        }
    }
    Ok(cut(&inline(engine, value)?, LONGEST))
}

/// A number with four digits that count.
pub fn short(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return format!("{number}");
    }
    if !(1e-3..1e6).contains(&number.abs()) {
        return format!("{number:.3e}");
    }
    let digits = (3 - number.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{number:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

/// A text on one line, of at most so many columns.
pub fn cut(text: &str, most: usize) -> String {
    fit(&text.replace('\n', "⏎"), most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 1.0, -0.25, 1.23456, 123456.7, 1e9, 2e-5, f64::NAN].map(short);
        let expected = [
            "0", "1", "-0.25", "1.235", "123457", "1.000e9", "2.000e-5", "NaN",
        ];
        assert_eq!(texts, expected.map(String::from));
    }

    #[test]
    fn a_table_keeps_to_its_width_and_names_what_it_leaves_out() {
        let names: Vec<String> = (0..20).map(|i| format!("metric_{i}")).collect();
        let header: Vec<&str> = names.iter().map(String::as_str).collect();
        let grid = Grid::new(&header, vec![vec!["1234.5".into(); 20]; 3]);
        for columns in [40, 80, 120] {
            let text = grid.to_text(columns);
            assert!(
                text.lines().all(|line| line.chars().count() <= columns),
                "{text}"
            );
            assert!(text.contains("\nand metric_"), "{text}");
        }
    }

    #[test]
    fn html_is_escaped() {
        let grid = Grid::new(&["<a>"], vec![vec!["\"&\"".into()]]);
        let html = grid.to_html();
        assert!(
            html.contains("&lt;a&gt;") && html.contains("&quot;&amp;&quot;"),
            "{html}"
        );
    }
}
