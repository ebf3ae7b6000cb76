//! Inline SVG: shapes carry classes, the page's style sheet holds the colours.

use maud::{Markup, PreEscaped, html};

use super::scale::Scale;

/// A place in a picture: x to the right, y downward, in the picture's units.
pub type Point = (f64, f64);

/// A picture being drawn. Position 0 of the forecasters is the model, drawn round and filled; others are drawn square
/// and hollow.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Formats a coordinate.
fn tenths(coordinate: f64) -> String {
    format!("{coordinate:.1}")
}

/// Returns the text shown under the pointer, as a child of a shape.
fn tooltip(text: &str) -> Markup {
    html! { @if !text.is_empty() { title { (text) } } }
}

/// Returns the class of a forecaster's marks.
pub fn class(forecaster: usize) -> &'static str {
    if forecaster == 0 { "model" } else { "base" }
}

impl Svg {
    /// Returns an empty picture.
    pub fn new(width: f64, height: f64) -> Svg {
        Svg { width, height, body: String::new() }
    }

    fn push(&mut self, PreEscaped(shape): Markup) {
        self.body += &shape;
    }

    /// Draws a straight line.
    pub fn line(&mut self, class: &str, (x1, y1): Point, (x2, y2): Point) {
        self.push(html! { line class=(class) x1=(tenths(x1)) y1=(tenths(y1)) x2=(tenths(x2)) y2=(tenths(y2)) {} });
    }

    /// Draws a rectangle from its upper left corner; `tip` is shown under the pointer.
    pub fn rect(&mut self, class: &str, corner: Point, size: (f64, f64), tip: &str) {
        self.rect_of_opacity(class, corner, size, None, tip);
    }

    /// Draws a rectangle shaded by a share from 0 (clear) to 1 (full colour).
    pub fn shade(&mut self, class: &str, corner: Point, size: (f64, f64), share: f64, tip: &str) {
        self.rect_of_opacity(class, corner, size, Some(format!("{share:.2}")), tip);
    }

    fn rect_of_opacity(&mut self, class: &str, (x, y): Point, size: (f64, f64), opacity: Option<String>, tip: &str) {
        self.push(html! {
            rect class=(class) x=(tenths(x)) y=(tenths(y)) width=(tenths(size.0)) height=(tenths(size.1))
                fill-opacity=[opacity] { (tooltip(tip)) }
        });
    }

    /// Draws a circle.
    pub fn circle(&mut self, class: &str, (x, y): Point, radius: f64, tip: &str) {
        self.push(html! { circle class=(class) cx=(tenths(x)) cy=(tenths(y)) r=(tenths(radius)) { (tooltip(tip)) } });
    }

    /// Draws a square around a point.
    pub fn square(&mut self, class: &str, (x, y): Point, half: f64, tip: &str) {
        self.rect(class, (x - half, y - half), (2.0 * half, 2.0 * half), tip);
    }

    /// Draws a shape with corners at these offsets from a point.
    pub fn shape(&mut self, class: &str, (x, y): Point, corners: &[Point], tip: &str) {
        let list = corners.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect::<Vec<_>>().join(" ");
        self.push(html! { polygon class=(class) points=(list) { (tooltip(tip)) } });
    }

    /// Draws the mark of a forecaster; a square is drawn smaller than a circle, to look as large.
    pub fn mark(&mut self, forecaster: usize, point: Point, radius: f64, tip: &str) {
        match forecaster {
            0 => self.circle(class(0), point, radius, tip),
            _ => self.square(class(forecaster), point, 0.86 * radius, tip),
        }
    }

    /// Draws a line through points.
    pub fn polyline(&mut self, class: &str, points: &[Point]) {
        let list = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
        self.push(html! { polyline class=(class) points=(list) {} });
    }

    /// Draws text; the classes `end` and `mid` anchor it.
    pub fn text(&mut self, class: &str, (x, y): Point, text: &str) {
        self.push(html! { text class=(class) x=(tenths(x)) y=(tenths(y)) { (text) } });
    }

    /// Draws horizontal lines at the ticks of a vertical axis, with labels to the left.
    pub fn rows(&mut self, y: &Scale, (left, right): (f64, f64), label: impl Fn(f64) -> String) {
        for tick in y.ticks() {
            self.line("grid", (left, y.at(tick)), (right, y.at(tick)));
            self.text("small end", (left - 8.0, y.at(tick) + 4.0), &label(tick));
        }
    }

    /// Draws vertical lines at the ticks of a horizontal axis, with labels below.
    pub fn columns(&mut self, x: &Scale, (top, bottom): (f64, f64), label: impl Fn(f64) -> String) {
        for tick in x.ticks() {
            self.line("grid", (x.at(tick), top), (x.at(tick), bottom));
            self.text("small mid", (x.at(tick), bottom + 18.0), &label(tick));
        }
    }

    /// Draws the marks and names of the model and another forecaster in a line at the top.
    pub fn legend(&mut self, left: f64, names: [&str; 2]) {
        for (forecaster, name) in names.into_iter().enumerate() {
            let x = left + 90.0 * forecaster as f64;
            self.mark(forecaster, (x, 12.0), 5.0, "");
            self.text(class(forecaster), (x + 12.0, 16.5), name);
        }
    }

    /// Returns the picture as an element, with a title and a description for screen readers.
    pub fn finish(self, id: &str, title: &str, description: &str) -> Markup {
        let Svg { width, height, body } = self;
        html! {
            svg viewBox=(format!("0 0 {width:.0} {height:.0}")) role="img" aria-labelledby=(format!("{id}-t {id}-d")) {
                title id=(format!("{id}-t")) { (title) }
                desc id=(format!("{id}-d")) { (description) }
                (PreEscaped(body))
            }
        }
    }
}

/// Returns at most the last `most` characters of a text, with a mark where something was cut.
pub fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        // The end of a path-like name tells rooms apart better than its beginning.
        true => format!("…{}", text.chars().skip(text.chars().count() + 1 - most).collect::<String>()),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_text() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text("\"><b>", (0.0, 0.0), "<b>\"R&D\"'s");
        let PreEscaped(page) = svg.finish("id", "<title>", "</desc>");
        assert!(page.contains("<text class=\"&quot;&gt;&lt;b&gt;\" x=\"0.0\""), "{page}");
        assert!(page.contains(">&lt;b&gt;&quot;R&amp;D&quot;'s</text>"), "{page}");
        assert!(page.contains(">&lt;title&gt;</title>") && page.contains(">&lt;/desc&gt;</desc>"), "{page}");
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(cut("floor_03/room_0127", 10), "…room_0127");
        assert_eq!(cut("küche", 5), "küche");
    }
}
