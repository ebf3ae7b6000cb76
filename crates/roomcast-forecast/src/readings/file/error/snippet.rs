//! The line of an error as people see it: its number, its text, and a caret under the field.

/// Most characters of a line that are shown.
const MAX_SHOWN: usize = 100;

/// Characters shown to the left of a field that is far from the beginning of its line.
const LEFT: usize = 30;

/// A part of a line, and the field in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snippet {
    text: String,
    /// Position and length of the field, in characters.
    at: usize,
    length: usize,
}

impl Snippet {
    /// Makes the line of these cells. `field` is the position of the field; without it, it is the whole row.
    pub fn of<'a>(cells: impl Iterator<Item = &'a [u8]>, delimiter: u8, field: Option<usize>) -> Self {
        let mut line = String::new();
        let (mut at, mut length, mut shown) = (0, 0, 0);
        for (place, cell) in cells.enumerate() {
            if place > 0 {
                line.push(char::from(delimiter));
                shown += 1;
            }
            let text = as_written(cell, delimiter);
            let characters = text.chars().count();
            if field == Some(place) {
                (at, length) = (shown, characters);
            }
            line += &text;
            shown += characters;
            // A row may have millions of cells. Enough is enough.
            if shown > at + length + MAX_SHOWN && field.is_none_or(|field| place >= field) {
                break;
            }
        }
        if field.is_none() {
            length = shown;
        }
        let from = if at + length > MAX_SHOWN { at.saturating_sub(LEFT) } else { 0 };
        let mut text: String = line.chars().skip(from).take(MAX_SHOWN).collect();
        if from > 0 {
            text.insert(0, '…');
        }
        if shown > from + MAX_SHOWN {
            text.push('…');
        }
        let at = at - from + usize::from(from > 0);
        Self { text, at, length: length.clamp(1, MAX_SHOWN.saturating_sub(at).max(1)) }
    }

    /// Draws the line with its number, and what was expected beside the caret.
    pub fn draw(&self, line: u64, expected: &str) -> String {
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let carets = "^".repeat(self.length);
        let before = " ".repeat(self.at);
        format!("{gutter} |\n{number} | {}\n{gutter} | {before}{carets} expected {expected}", self.text)
    }
}

/// Writes a cell as it probably stands in the file, on one line.
fn as_written(cell: &[u8], delimiter: u8) -> String {
    // The cut comes before the copy, because a bad cell may be large.
    let text = String::from_utf8_lossy(&cell[..cell.len().min(8 * MAX_SHOWN)]);
    let text: String = text.chars().map(|c| if c == '\t' || !c.is_control() { c } else { '·' }).collect();
    let text = text.replace('\t', " ");
    let is_quoted = cell.contains(&b'"') || cell.contains(&delimiter) || cell.contains(&b'\n');
    if is_quoted { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(cells: &[&str], field: Option<usize>) -> String {
        Snippet::of(cells.iter().map(|cell| cell.as_bytes()), b',', field).draw(12, "a time")
    }

    #[test]
    fn the_caret_is_under_the_field() {
        assert_eq!(drawn(&["a", "soon", "1"], Some(1)), "   |\n12 | a,soon,1\n   |   ^^^^ expected a time");
        assert_eq!(drawn(&["ä,b", "ö", "1"], Some(1)), "   |\n12 | \"ä,b\",ö,1\n   |       ^ expected a time");
        assert_eq!(drawn(&["a", "", "1"], Some(1)), "   |\n12 | a,,1\n   |   ^ expected a time");
        assert_eq!(drawn(&["a", "b"], None), "   |\n12 | a,b\n   | ^^^ expected a time");
    }

    #[test]
    fn a_long_line_is_cut_around_the_field() {
        let long = "x".repeat(5000);
        let text = drawn(&[&long, "soon", &long], Some(1));
        assert!(text.lines().all(|line| line.chars().count() < 150), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let at = lines[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[1].chars().skip(at).take(4).collect::<String>(), "soon");
        let text = drawn(&["a", &long], Some(1));
        assert!(text.lines().all(|line| line.chars().count() < 150), "{text}");
    }
}
