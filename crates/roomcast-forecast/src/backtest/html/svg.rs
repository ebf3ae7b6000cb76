//! Helpers to draw inline SVG: shapes carry classes, the page's style sheet holds the colours.

use std::fmt::Write;

/// A picture being drawn. Coordinates are in its own units, y downward.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    /// Returns an empty picture.
    pub fn new(width: f64, height: f64) -> Svg {
        Svg { width, height, body: String::new() }
    }

    fn push(&mut self, tag: &str, class: &str, attributes: std::fmt::Arguments, tip: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.body, "<{tag} class=\"{class}\" {attributes}");
        let _ = match tip {
            "" => write!(self.body, "/>"),
            tip => write!(self.body, "><title>{}</title></{tag}>", escape(tip)),
        };
    }

    /// Draws a straight line.
    pub fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push("line", class, format_args!("x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\""), "");
    }

    /// Draws a rectangle from its upper left corner; `tip` is shown under the pointer.
    pub fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), tip: &str) {
        let at = format_args!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"");
        self.push("rect", class, at, tip);
    }

    /// Draws a rectangle shaded by a share from 0 (clear) to 1 (full colour).
    pub fn shade(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), share: f64, tip: &str) {
        let at = format_args!(
            "x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill-opacity=\"{share:.2}\""
        );
        self.push("rect", class, at, tip);
    }

    /// Draws a round mark, which stands for the model.
    pub fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64, tip: &str) {
        self.push("circle", class, format_args!("cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\""), tip);
    }

    /// Draws a square mark, which stands for the simple rule.
    pub fn square(&mut self, class: &str, (x, y): (f64, f64), half: f64, tip: &str) {
        self.rect(class, (x - half, y - half), (2.0 * half, 2.0 * half), tip);
    }

    /// Draws a line through points.
    pub fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let list = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
        self.push("polyline", class, format_args!("points=\"{list}\""), "");
    }

    /// Draws text; the classes `end` and `mid` anchor it.
    pub fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let _ = write!(self.body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(text));
    }

    /// Returns the picture as an element, with a title and a description for screen readers.
    pub fn finish(self, id: &str, title: &str, description: &str) -> String {
        let Svg { width, height, body } = self;
        let (title, description) = (escape(title), escape(description));
        format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}</desc>{body}</svg>"
        )
    }
}

/// A linear scale from values to coordinates.
#[derive(Clone, Copy)]
pub struct Scale {
    /// Lowest and highest value.
    pub values: (f64, f64),
    /// Their coordinates.
    pub place: (f64, f64),
}

impl Scale {
    /// Returns a scale that covers all of `values` and ends at round numbers.
    pub fn around(values: impl Iterator<Item = f64>, place: (f64, f64)) -> Scale {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low >= high || !(high - low).is_finite() {
            return Scale { values: (low.clamp(-1e9, 0.0), high.clamp(0.0, 1e9) + 1.0), place };
        }
        let step = step(high - low);
        Scale { values: ((low / step).floor() * step, (high / step - 1e-9).ceil() * step), place }
    }

    /// Returns the coordinate of a value.
    pub fn at(&self, value: f64) -> f64 {
        let share = (value - self.values.0) / (self.values.1 - self.values.0);
        self.place.0 + share * (self.place.1 - self.place.0)
    }

    /// Returns round values to mark, usually four to nine of them.
    pub fn ticks(&self) -> Vec<f64> {
        let step = step(self.values.1 - self.values.0);
        let (from, to) = ((self.values.0 / step).round() as i64, (self.values.1 / step).floor() as i64);
        (from..=to.min(from + 20)).map(|n| n as f64 * step).collect()
    }
}

/// Returns a round step (1, 2 or 5 times a power of ten) that fits three to eight times into a span.
fn step(span: f64) -> f64 {
    let power = 10_f64.powf((span / 5.0).log10().floor());
    let times = span / 5.0 / power;
    power
        * if times < 1.5 {
            1.0
        } else if times < 3.5 {
            2.0
        } else if times < 7.5 {
            5.0
        } else {
            10.0
        }
}

/// Escapes text so that it is no markup, in content and in attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
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
        assert_eq!(escape("<b>\"R&D\"'s"), "&lt;b&gt;&quot;R&amp;D&quot;&#39;s");
    }

    #[test]
    fn scales_end_at_round_numbers() {
        let scale = Scale::around([0.0, 0.37].into_iter(), (0.0, 100.0));
        assert!((scale.values.1 - 0.4).abs() < 1e-12);
        assert!((scale.at(0.2) - 50.0).abs() < 1e-9);
        assert!((3..=8).contains(&scale.ticks().len()));
        for odd in [vec![], vec![0.0, 0.0], vec![2.0], vec![f64::NAN], vec![-3.0, -3.0]] {
            let scale = Scale::around(odd.into_iter(), (0.0, 1.0));
            assert!(scale.at(0.5).is_finite() && scale.ticks().len() < 25);
        }
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(cut("floor_03/room_0127", 10), "…room_0127");
        assert_eq!(cut("küche", 5), "küche");
    }
}
