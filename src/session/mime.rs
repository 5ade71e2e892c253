//! Values in the forms that a notebook can show.

use super::{Failure, Outcome, Session};
use crate::script::{PlotValue, Tensor, show};
use crate::tensor::dtype;
use crate::tensor::grid::grid;
use rhai::{Array, Dynamic, Engine, Map};
use std::fmt::Write;

/// A table longer than this is cut.
const MOST_ROWS: usize = 100;

/// Where the source of an aside is said to be.
const ASIDE: &str = "request";

impl Session {
    /// Evaluates what is no cell of its own: no number, no `ans`.
    ///
    /// # Errors
    /// Those of the source.
    pub fn aside(&mut self, source: &str) -> Result<Outcome, Failure> {
        let mut value = self.eval(ASIDE, source)?;
        let shown = match value.is_unit() {
            true => None,
            false => Some(self.show(ASIDE, &mut value)?),
        };
        Ok(Outcome { value, shown })
    }
}

/// A value as kinds of media and their texts, the plain text first.
pub fn bundle(engine: &Engine, value: &Dynamic, plain: &str) -> Vec<(&'static str, String)> {
    let mut bundle = vec![("text/plain", plain.to_string())];
    if let Some(plot) = value.read_lock::<PlotValue>() {
        bundle.push(("image/svg+xml", plot.to_svg()));
    } else if let Some(tensor) = value.read_lock::<Tensor>() {
        bundle.extend(tensor_table(&tensor).map(|html| ("text/html", html)));
    } else if let Some(list) = value.read_lock::<Array>() {
        bundle.extend(list_table(engine, &list).map(|html| ("text/html", html)));
    }
    bundle
}

/// A vector or a matrix, shortened; nothing for what the plain text shows as well.
fn tensor_table(tensor: &Tensor) -> Option<String> {
    let array = &tensor.0;
    // An error of the computation was shown with the plain text.
    let rows = grid(array).ok().flatten()?;
    let shape: Vec<String> = array.shape().iter().map(i32::to_string).collect();
    let shape = shape.join(", ");
    let kind = dtype::name(array.dtype());
    let mut html = String::from("<table>");
    for row in rows {
        write_row(&mut html, "td", row.iter().map(String::as_str));
    }
    let _ = write!(html, "</table>\n<p>shape [{shape}], {kind}</p>");
    Some(html)
}

/// A list of maps with the same keys.
fn list_table(engine: &Engine, list: &Array) -> Option<String> {
    let first = list.first()?.read_lock::<Map>()?;
    let same = |item: &Dynamic| {
        let map = item.read_lock::<Map>();
        map.is_some_and(|map| map.keys().eq(first.keys()))
    };
    if first.is_empty() || !list.iter().all(same) {
        return None;
    }
    let mut html = String::from("<table>");
    write_row(&mut html, "th", first.keys().map(|key| key.as_str()));
    for item in list.iter().take(MOST_ROWS) {
        let row = item.read_lock::<Map>()?;
        let cells: Vec<String> = row.values().map(|value| cell(engine, value)).collect();
        write_row(&mut html, "td", cells.iter().map(String::as_str));
    }
    html.push_str("</table>");
    if list.len() > MOST_ROWS {
        let _ = write!(
            html,
            "\n<p>the first {MOST_ROWS} of {} rows</p>",
            list.len()
        );
    }
    Some(html)
}

/// A value in a table: a string without its quotes, else what the prompt shows.
fn cell(engine: &Engine, value: &Dynamic) -> String {
    match value.is_string() {
        true => value.to_string(),
        false => show(engine, &mut value.clone()).unwrap_or_else(|error| error.to_string()),
    }
}

fn write_row<'a>(html: &mut String, tag: &str, cells: impl Iterator<Item = &'a str>) {
    html.push_str("<tr>");
    for cell in cells {
        let _ = write!(html, "<{tag}>{}</{tag}>", escaped(cell));
    }
    html.push_str("</tr>\n");
}

/// Text that means itself in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Host;
    use std::rc::Rc;

    fn html_of(source: &str) -> Option<String> {
        let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
        let outcome = session.aside(source).map_err(|f| f.rendered).unwrap();
        let plain = outcome.shown.unwrap_or_default();
        let bundle = bundle(session.engine(), &outcome.value, &plain);
        assert_eq!(bundle[0], ("text/plain", plain));
        let found = bundle.into_iter().find(|(media, _)| *media != "text/plain");
        found.map(|(_, text)| text)
    }

    #[test]
    fn a_matrix_is_a_table() {
        let html = html_of("tensor([[1, 2], [3, 4]])").unwrap();
        assert!(html.contains("<tr><td>3</td><td>4</td></tr>"), "{html}");
        assert!(html.ends_with("<p>shape [2, 2], int32</p>"), "{html}");
        assert_eq!(html_of("tensor(1.5)"), None);
    }

    #[test]
    fn rows_are_a_table_and_mean_themselves() {
        let rows = "[#{ a: 1, b: `<b>&\"` }, #{ a: [2], b: \"x\" }]";
        let html = html_of(rows).unwrap();
        assert!(html.contains("<th>a</th><th>b</th>"), "{html}");
        let first = "<td>1</td><td>&lt;b&gt;&amp;&quot;</td>";
        assert!(html.contains(first), "{html}");
        assert!(html.contains("<td>[2]</td><td>x</td>"), "{html}");
        assert_eq!(html_of("[#{ a: 1 }, #{ b: 1 }]"), None);
        assert_eq!(html_of("[#{}]"), None);
        assert_eq!(html_of("\"<script>\""), None);
    }

    #[test]
    fn an_aside_changes_neither_ans_nor_the_count() {
        let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
        assert!(session.cell("41").is_ok());
        assert!(session.aside("7").is_ok());
        let outcome = session.cell("ans + 1").map_err(|f| f.rendered).unwrap();
        assert_eq!(outcome.shown.as_deref(), Some("42"));
        let failure = session.cell("missing").map(|_| ()).unwrap_err();
        assert!(failure.rendered.contains("cell[3]"), "{}", failure.rendered);
    }
}
