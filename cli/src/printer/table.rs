//! Aligned columns with a header, for people; with tabs between them for scripts that know `falcoctl`'s.

use std::io::{self, Write};

/// Rows under a header.
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns and no rows.
    pub(crate) fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; an empty cell is shown as `-`, so that columns stay countable.
    pub(crate) fn row<I: IntoIterator<Item = String>>(&mut self, cells: I) {
        let filled = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
        self.rows.push(cells.into_iter().map(filled).collect());
    }

    /// Writes header and rows; the last column is not padded.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for cells in self.padded() {
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }

    /// Writes header and rows with a tab between columns, and an empty line at the end.
    pub(crate) fn write_tabs(&self, out: &mut dyn Write) -> io::Result<()> {
        for cells in self.padded() {
            writeln!(out, "{}", cells.join("\t"))?;
        }
        writeln!(out)
    }

    /// Header and rows, each cell as wide as its column.
    fn padded(&self) -> Vec<Vec<String>> {
        let header: Vec<String> = self.header.iter().map(|cell| (*cell).to_owned()).collect();
        let all = || std::iter::once(&header).chain(&self.rows);
        let width = |column: usize| {
            all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> =
            (0..header.len()).map(|column| width(column).unwrap_or_default()).collect();
        let pad = |row: &Vec<String>| {
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect()
        };
        all().map(pad).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["NAME", "TYPE"]);
        table.row(["a".to_owned(), "rulesfile".to_owned()]);
        table.row(["longer-name".to_owned(), String::new()]);
        let mut out = Vec::new();
        table.write(&mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, "NAME         TYPE\na            rulesfile\nlonger-name  -\n");
        let mut out = Vec::new();
        table.write_tabs(&mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        let expected = "NAME       \tTYPE     \na          \trulesfile\nlonger-name\t-        \n\n";
        assert_eq!(text, expected);
    }
}
