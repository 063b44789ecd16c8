//! Plain tables: a heading, a rule, aligned columns. Widths are counted as a terminal shows them.

use std::fmt;
use unicode_width::UnicodeWidthStr;

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

/// Columns that a line below a row begins at.
const INDENT: usize = 6;
/// Columns between two columns.
const GAP: usize = 2;

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

    /// The table in lines of at most `width` columns: where it is wider, the widest of its columns of words go below each
    /// row, folded. Figures and the first column stay in line, however wide they are.
    pub fn fit(&self, width: Option<usize>) -> String {
        let widths = self.widths();
        let mut inline: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = width else { return self.text(&inline, usize::MAX) };
        let total = |inline: &[usize]| line_width(inline.iter().map(|&at| widths[at]));
        while total(&inline) > width {
            let words = inline.iter().copied().filter(|&at| at > 0 && self.columns[at].1 == Align::Left);
            let Some(widest) = words.max_by_key(|&at| widths[at]) else { break };
            inline.retain(|&at| at != widest);
        }
        self.text(&inline, width)
    }

    fn widths(&self) -> Vec<usize> {
        let width = |at: usize| {
            let cells = self.rows.iter().chain(&self.totals).filter_map(|row| row.get(at));
            cells.chain([&self.columns[at].0]).map(|cell| cell.width()).max().unwrap_or(0)
        };
        (0..self.columns.len()).map(width).collect()
    }

    /// All rows, with the columns `inline` side by side and the others below, in lines of `width` columns.
    fn text(&self, inline: &[usize], width: usize) -> String {
        let widths = self.widths();
        let titles: Vec<String> = self.columns.iter().map(|(title, _)| title.clone()).collect();
        let rule = "-".repeat(line_width(inline.iter().map(|&at| widths[at]))) + "\n";
        let mut text = self.row_text(&titles, inline, &widths, width) + &rule;
        for row in &self.rows {
            text += &self.row_text(row, inline, &widths, width);
        }
        if !self.totals.is_empty() {
            text += &rule;
        }
        for row in &self.totals {
            text += &self.row_text(row, inline, &widths, width);
        }
        text
    }

    fn row_text(&self, cells: &[String], inline: &[usize], widths: &[usize], width: usize) -> String {
        let aligned = inline.iter().filter_map(|&at| Some(padded(cells.get(at)?, widths[at], self.columns[at].1)));
        let line = aligned.collect::<Vec<_>>().join(&" ".repeat(GAP));
        let mut text = format!("{}\n", line.trim_end());
        let below = cells.iter().enumerate().filter(|(at, cell)| !inline.contains(at) && !cell.is_empty());
        for (_, cell) in below {
            for line in folded(cell, width.saturating_sub(INDENT)) {
                text += &format!("{}{line}\n", " ".repeat(INDENT));
            }
        }
        text
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fit(None))
    }
}

fn line_width(widths: impl Iterator<Item = usize>) -> usize {
    widths.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}

/// `cell` in `width` columns of a terminal.
fn padded(cell: &str, width: usize, align: Align) -> String {
    let blanks = " ".repeat(width.saturating_sub(cell.width()));
    match align {
        Align::Left => format!("{cell}{blanks}"),
        Align::Right => format!("{blanks}{cell}"),
    }
}

/// The words of `text` in lines of at most `width` columns; a word that is longer has a line to itself.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.width() + 1 + word.width() <= width) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word.into()),
        }
    }
    lines
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

    /// A terminal gives 花 two columns, and none to the accent that is put on the letter before.
    #[test]
    fn widths_are_those_of_a_terminal() {
        let mut table = Table::new([("class", Align::Left), ("n", Align::Right)]);
        table.row(["花".into(), "1".into()]);
        table.row(["e\u{301}".into(), "花".into()]);
        let rule = "-".repeat(9);
        assert_eq!(table.to_string(), format!("class   n\n{rule}\n花      1\ne\u{301}      花\n"));
    }

    #[test]
    fn what_is_too_wide_goes_below() {
        let columns = [("call", Align::Right), ("kernel", Align::Left), ("buffers", Align::Left), ("ok", Align::Left)];
        let mut table = Table::new(columns);
        table.row(["1".into(), "relu".into(), "one two three four five six".into(), "yes".into()]);
        let rule = "-".repeat(17);
        let wanted = format!(
            "call  kernel  ok\n      buffers\n{}\n   1  relu    yes\n      one two three\n      four five six\n",
            rule
        );
        assert_eq!(table.fit(Some(20)), wanted);
        assert_eq!(table.fit(Some(46)), table.to_string());
        assert!(table.fit(Some(45)).lines().all(|line| line.len() <= 45));
    }
}
