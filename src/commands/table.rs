//! Aligned tables of text.

/// Returns the rows as aligned lines: the first `left` columns to the left, the others to the right. The first row is
/// the header. A row with fewer cells may extend over its missing columns.
pub fn table(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let whole = || rows.iter().filter(|row| row.len() == columns);
    let width = |at: usize| whole().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let cell = |(at, (cell, width)): (usize, (&String, &usize))| {
        if at < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    };
    let line = |row: &Vec<String>| row.iter().zip(&widths).enumerate().map(cell).collect::<Vec<_>>().join("  ");
    rows.iter().map(|row| line(row).trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_long_states_run_over() {
        let rows = [
            vec!["version", "state", "until", "devices"],
            vec!["küche", "current", "2016", "7"],
            vec!["b", "unusable: it is damaged"],
            vec!["c", "", "2016", "10000"],
        ];
        let rows = rows.map(|row| row.into_iter().map(String::from).collect());
        let expected = "version  state    until  devices\n\
                        küche    current  2016         7\n\
                        b        unusable: it is damaged\n\
                        c                 2016     10000\n";
        assert_eq!(table(&rows, 3), expected);
        assert_eq!(table(&[], 3), "");
    }

    #[test]
    fn tables_are_aligned_without_trailing_blanks() {
        let rows = [["device", "n"], ["küche", "7"], ["b", "1234"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(table(&rows, 1), "device     n\nküche      7\nb       1234\n");
    }
}
