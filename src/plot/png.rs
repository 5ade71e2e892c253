//! Plots as PNG: our own SVG, painted by resvg with a font that the program brings along.

use super::Plot;
use crate::error::{Error, Result};

/// A picture wider than this is a slip of the pen, and would take gigabytes.
const WIDEST: usize = 8192;

impl Plot {
    /// The bytes of a PNG file, `width` pixels wide and as high as the SVG asks for.
    ///
    /// # Errors
    /// A width of 0 or of more than 8192 pixels; a program built without the feature `png`.
    pub fn to_png(&self, width: usize) -> Result<Vec<u8>> {
        if !(1..=WIDEST).contains(&width) {
            let expected = format!("from 1 to {WIDEST} pixels");
            return Err(Error::value("width of a PNG", width, &expected));
        }
        paint(&self.to_svg(), width)
    }
}

#[cfg(feature = "png")]
fn paint(svg: &str, width: usize) -> Result<Vec<u8>> {
    use resvg::{tiny_skia, usvg};
    let failed = |reason: String| Error::Unsupported(format!("PNG: {reason}; SVG may do"));
    // DejaVu Sans has the Greek letters and signs of mathematics that plots are labelled with.
    let mut options = usvg::Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let tree = usvg::Tree::from_str(svg, &options).map_err(|e| failed(e.to_string()))?;
    let scale = width as f32 / tree.size().width();
    let height = (tree.size().height() * scale).round().max(1.0);
    let mut canvas = tiny_skia::Pixmap::new(width as u32, height as u32)
        .ok_or_else(|| failed("no room for the picture".into()))?;
    let transform = tiny_skia::Transform::from_scale(scale, scale);
    resvg::render(&tree, transform, &mut canvas.as_mut());
    canvas.encode_png().map_err(|e| failed(e.to_string()))
}

#[cfg(not(feature = "png"))]
fn paint(_svg: &str, _width: usize) -> Result<Vec<u8>> {
    Err(Error::Unsupported(
        "this program was built without the feature `png`; save the plot as .svg, or build with \
         `--features png`"
            .into(),
    ))
}
