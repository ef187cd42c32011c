//! Text in columns.

use std::fmt;

pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    /// Columns from here on are numbers: their ends are in line.
    right_from: usize,
}

impl<const N: usize> Table<N> {
    pub fn new(head: [&str; N]) -> Self {
        Self { rows: vec![head.map(str::to_owned)], right_from: N }
    }

    pub fn right_from(mut self, column: usize) -> Self {
        self.right_from = column;
        self
    }

    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..N).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::from(" ");
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                line += &if column >= self.right_from { format!(" {cell:>width$} ") } else { format!(" {cell:<width$} ") };
            }
            writeln!(f, "{}", line.trim_end())?;
            if number == 0 {
                writeln!(f, "  {}", widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>().join("  "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["step", "fee"]).right_from(1);
        table.row(["fund".to_owned(), "7".to_owned()]);
        table.row(["refund".to_owned(), "1500".to_owned()]);
        assert_eq!(table.to_string(), "  step     fee\n  ──────  ────\n  fund       7\n  refund  1500\n");
    }
}
