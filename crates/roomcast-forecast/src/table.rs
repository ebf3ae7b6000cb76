//! Aligned tables of text.

/// Returns a header and rows as aligned lines: the first `left` columns to the left, the others to the right. A row
/// with fewer cells may extend over its missing columns.
pub fn table(header: &[&str], rows: &[Vec<String>], left: usize) -> String {
    let whole = || rows.iter().filter(|row| row.len() == header.len());
    let count = |text: &str| text.chars().count();
    let width = |(at, name): (usize, &&str)| whole().map(|row| count(&row[at])).fold(count(name), usize::max);
    let widths: Vec<usize> = header.iter().enumerate().map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let aligned = cells
            .zip(&widths)
            .enumerate()
            .map(|(at, (cell, width))| if at < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
        aligned.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let header = line(&mut header.iter().copied());
    rows.iter().fold(header, |text, row| text + &line(&mut row.iter().map(String::as_str)))
}

/// Returns a number of things in words, such as `1 day` or `3 days`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_long_states_run_over() {
        let rows = [
            vec!["küche", "current", "2016", "7"],
            vec!["b", "unusable: it is damaged"],
            vec!["c", "", "2016", "10000"],
        ];
        let rows = rows.map(|row| row.into_iter().map(String::from).collect());
        let expected = "version  state    until  devices\n\
                        küche    current  2016         7\n\
                        b        unusable: it is damaged\n\
                        c                 2016     10000\n";
        assert_eq!(table(&["version", "state", "until", "devices"], &rows, 3), expected);
    }

    #[test]
    fn tables_are_aligned_without_trailing_blanks() {
        let rows = [["küche", "7"], ["b", "1234"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(table(&["device", "n"], &rows, 1), "device     n\nküche      7\nb       1234\n");
    }
}
