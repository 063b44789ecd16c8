//! Plain tables: a heading, a rule, aligned columns.

use std::fmt;

/// Rows of text, aligned when printed. The first column is flush left, the others as told.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    /// Rows behind a second rule.
    totals: Vec<Vec<String>>,
}

/// Side on which a column's texts line up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

impl Table {
    /// A table with these headings.
    pub fn new<T: Into<String>>(columns: impl IntoIterator<Item = (T, Align)>) -> Self {
        let columns = columns.into_iter().map(|(title, align)| (title.into(), align)).collect();
        Self { columns, rows: Vec::new(), totals: Vec::new() }
    }

    /// Appends a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Appends a row below a rule.
    pub fn total(&mut self, cells: impl IntoIterator<Item = String>) {
        self.totals.push(cells.into_iter().collect());
    }

    fn widths(&self) -> Vec<usize> {
        let width = |at: usize| {
            let cells = self.rows.iter().chain(&self.totals).filter_map(|row| row.get(at));
            cells.chain([&self.columns[at].0]).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..self.columns.len()).map(width).collect()
    }

    fn write_row(&self, f: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
        let mut line = String::new();
        for ((cell, (_, align)), &width) in cells.iter().zip(&self.columns).zip(widths) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            match align {
                Align::Left => line.push_str(&format!("{cell:<width$}")),
                Align::Right => line.push_str(&format!("{cell:>width$}")),
            }
        }
        writeln!(f, "{}", line.trim_end())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1));
        let titles: Vec<String> = self.columns.iter().map(|(title, _)| title.clone()).collect();
        self.write_row(f, &titles, &widths)?;
        writeln!(f, "{rule}")?;
        for row in &self.rows {
            self.write_row(f, row, &widths)?;
        }
        if !self.totals.is_empty() {
            writeln!(f, "{rule}")?;
        }
        for row in &self.totals {
            self.write_row(f, row, &widths)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new([("layer", Align::Left), ("parameters", Align::Right)]);
        table.row(["é".into(), "12".into()]);
        table.row(["flatten_1".into(), String::new()]);
        table.total(["total".into(), "12".into()]);
        let rule = "-".repeat(21);
        let wanted =
            format!("layer      parameters\n{rule}\né                  12\nflatten_1\n{rule}\ntotal              12\n");
        assert_eq!(table.to_string(), wanted);
    }
}
