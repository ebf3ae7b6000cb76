//! Colours of an error on a terminal. Its words are the same without them.

use std::io::{self, IsTerminal};

const RED: &str = "\x1b[1;31m";
const BLUE: &str = "\x1b[1;34m";
const CYAN: &str = "\x1b[1;36m";
const PLAIN: &str = "\x1b[0m";

/// Returns an error's message for standard error: in colour on a terminal, unless `NO_COLOR` is set.
pub fn error(message: &str) -> String {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let text = format!("error: {message}");
    if is_plain || !io::stderr().is_terminal() { text } else { coloured(&text) }
}

/// Colours the beginning of the error, the line numbers beside a shown row, its carets, and the hint.
fn coloured(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(line).collect();
    lines.join("\n")
}

fn line(line: &str) -> String {
    for (word, colour) in [("error:", RED), ("hint:", CYAN)] {
        if let Some(rest) = line.strip_prefix(word) {
            return format!("{colour}{word}{PLAIN}{rest}");
        }
    }
    // A shown row begins with its number, or with blanks, and a bar.
    let Some(bar) = line.find(" |") else { return line.to_owned() };
    let (gutter, rest) = line.split_at(bar + 2);
    if !gutter.trim_end_matches(" |").trim().bytes().all(|byte| byte.is_ascii_digit()) {
        return line.to_owned();
    }
    let is_caret = rest.trim_start().starts_with('^') && gutter.trim() == "|";
    let rest = if is_caret { format!("{RED}{rest}{PLAIN}") } else { rest.to_owned() };
    format!("{BLUE}{gutter}{PLAIN}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_no_word() {
        let text =
            "error: a.csv: line 3: expected a time\n   |\n 3 | x | ^,1\n   | ^ expected a time\nhint: correct it";
        let painted = coloured(text);
        assert!(painted.contains("\x1b[1;31merror:\x1b[0m a.csv") && painted.contains("\x1b[1;36mhint:\x1b[0m"));
        assert!(painted.contains("\x1b[1;34m 3 |\x1b[0m x | ^,1\n"), "{painted}");
        assert!(painted.contains("\x1b[1;34m   |\x1b[0m\x1b[1;31m ^ expected a time\x1b[0m"), "{painted}");
        let plain = [RED, BLUE, CYAN, PLAIN].iter().fold(painted, |text, colour| text.replace(colour, ""));
        assert_eq!(plain, text);
    }
}
