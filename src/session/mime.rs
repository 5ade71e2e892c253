//! Values in the forms that a notebook can show.

use super::{Failure, Outcome, Session};
use crate::plot::Plot;
use crate::script::{Screen, Shown, Tensor, escape};
use crate::tensor::display::form;
use crate::tensor::grid::grid;
use rhai::Dynamic;

/// Pixels of a picture's width, where a picture is made of pixels.
const WIDTH: usize = 640;

impl Session {
    /// Evaluates what is no cell of its own: no number, no `ans`.
    ///
    /// # Errors
    /// Those of the source.
    pub fn aside(&mut self, source: &str) -> Result<Outcome, Failure> {
        // A function of an earlier one keeps its source.
        self.asides += 1;
        let name = format!("request[{}]", self.asides);
        let value = self.eval(&name, source)?;
        let shown = match value.is_unit() {
            true => None,
            false => Some(self.show(&name, &value)?),
        };
        Ok(Outcome { value, shown })
    }
}

/// A value as kinds of media and their texts, the plain text first.
pub fn bundle(value: &Dynamic, shown: &Shown) -> Vec<(&'static str, String)> {
    let mut bundle = vec![("text/plain", shown.to_text(&Screen::default()))];
    match shown {
        Shown::Plot(plot) => bundle.extend(pictures(plot)),
        Shown::Grid(caption, grid) if caption.is_empty() => {
            bundle.push(("text/html", grid.to_html()));
        }
        Shown::Grid(caption, grid) => {
            let caption = escape(caption);
            bundle.push(("text/html", format!("<p>{caption}</p>\n{}", grid.to_html())));
        }
        Shown::Text(_) => {
            let table = value.read_lock::<Tensor>();
            let table = table.and_then(|tensor| tensor_table(&tensor));
            bundle.extend(table.map(|html| ("text/html", html)));
        }
    }
    bundle
}

/// A plot as pictures.
pub fn pictures(plot: &Plot) -> Vec<(&'static str, String)> {
    let mut kinds = vec![("image/svg+xml", plot.to_svg())];
    // A program that was built without pictures of pixels makes none.
    let png = plot.to_png(WIDTH).ok();
    kinds.extend(png.map(|bytes| ("image/png", base64(&bytes))));
    kinds
}

/// A vector or a matrix, shortened; nothing for what the plain text shows as well.
fn tensor_table(tensor: &Tensor) -> Option<String> {
    let array = &tensor.0;
    // An error of the computation was shown with the plain text.
    let rows = grid(array).ok().flatten()?;
    let row = |cells: Vec<String>| {
        let cells = cells
            .iter()
            .map(|cell| format!("<td>{}</td>", escape(cell)));
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let rows: String = rows.into_iter().map(row).collect();
    Some(format!(
        "<table><tbody>{rows}</tbody></table>\n<p>{}</p>",
        form(array)
    ))
}

/// Bytes as text, as in RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = bits >> (18 - 6 * i) & 63;
            text.push(match i <= group.len() {
                true => DIGITS[digit as usize] as char,
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Host;
    use std::rc::Rc;

    fn html_of(source: &str) -> Option<String> {
        let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
        let outcome = session.aside(source).map_err(|f| f.rendered).unwrap();
        let bundle = bundle(&outcome.value, &outcome.shown.unwrap());
        assert_eq!(bundle[0].0, "text/plain");
        let found = bundle.into_iter().find(|(media, _)| *media == "text/html");
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
        let html = html_of("[#{ a: 1, b: `<b>` }, #{ a: 2, b: \"x\" }]").unwrap();
        assert!(html.contains("<td>&lt;b&gt;</td>"), "{html}");
        assert_eq!(html_of("\"<script>\""), None);
    }

    #[test]
    fn an_aside_changes_neither_ans_nor_the_count() {
        let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
        assert!(session.cell("41").is_ok());
        assert!(session.aside("7").is_ok());
        assert!(session.cell("assert_eq(ans, 41)").is_ok());
        let failure = session.cell("missing").map(|_| ()).unwrap_err();
        assert!(failure.rendered.contains("cell[3]"), "{}", failure.rendered);
    }

    #[test]
    fn bytes_as_text() {
        let pairs = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(pairs, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }
}
