//! The confusion matrix: its largest mistakes, and as a file.

use super::picture;
use crate::run_folder::check_parent;
use anyhow::{Result, ensure};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tilegrad_model::{Report, write_atomically};

/// Most pairs that are named.
const MOST_PAIRS: usize = 10;

/// A class taken for another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confused<'a> {
    pub label: &'a str,
    pub prediction: &'a str,
    /// How many images.
    pub images: u64,
    /// Which share of the label's images.
    pub share: f64,
}

/// The pairs with the most images, ties in the order of the classes.
pub fn most_confused(report: &Report) -> Vec<Confused<'_>> {
    let mut pairs = Vec::new();
    for (label, row) in report.confusion.iter().enumerate() {
        let wrong = row.iter().enumerate().filter(|&(prediction, &images)| prediction != label && images > 0);
        pairs.extend(wrong.map(|(prediction, &images)| (label, prediction, images)));
    }
    pairs.sort_by_key(|&(.., images)| std::cmp::Reverse(images));
    pairs.truncate(MOST_PAIRS);
    let classes = &report.classes;
    let pair = |(label, prediction, images): (usize, usize, u64)| Confused {
        label: &classes[label].class,
        prediction: &classes[prediction].class,
        images,
        share: images as f64 / classes[label].support as f64,
    };
    pairs.into_iter().map(pair).collect()
}

/// Where the matrix goes, and in which form.
#[derive(Debug, Clone)]
pub enum ConfusionFile {
    Csv(PathBuf),
    Png(PathBuf),
}

/// Reads the option's value.
pub fn parse(text: &str) -> Result<ConfusionFile, String> {
    let path = PathBuf::from(text);
    match path.extension().map(|ending| ending.to_ascii_lowercase()) {
        Some(ending) if ending == "csv" => Ok(ConfusionFile::Csv(path)),
        Some(ending) if ending == "png" => Ok(ConfusionFile::Png(path)),
        _ => Err("expected a name that ends in .csv or .png".into()),
    }
}

impl ConfusionFile {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Csv(path) | Self::Png(path) => path,
        }
    }

    /// An error if the matrix of so many classes could not be written there.
    pub fn check(&self, classes: usize) -> Result<()> {
        let most = picture::MOST_CLASSES;
        if let Self::Png(path) = self {
            ensure!(
                classes <= most,
                "{}: a picture shows at most {most} classes, the model has {classes}; write a .csv",
                path.display()
            );
        }
        check_parent(self.path())
    }

    /// Writes the matrix.
    pub fn write(&self, report: &Report) -> Result<()> {
        let bytes = match self {
            Self::Csv(_) => csv(report).into_bytes(),
            Self::Png(_) => picture::png(report)?,
        };
        Ok(write_atomically(self.path(), &bytes)?)
    }
}

/// A row per label and a column per prediction, with the classes' names.
fn csv(report: &Report) -> String {
    let names = || report.classes.iter().map(|class| class.class.clone());
    let rows = names().zip(&report.confusion);
    let rows = rows.map(|(name, row)| record([name].into_iter().chain(row.iter().map(u64::to_string))));
    [record(["label \\ prediction".to_owned()].into_iter().chain(names()))].into_iter().chain(rows).collect()
}

/// A line of CSV (RFC 4180): a cell with a comma, a quote or a line break is quoted, its quotes doubled.
pub(super) fn record(cells: impl IntoIterator<Item = String>) -> String {
    let special = |c: char| matches!(c, ',' | '"' | '\n' | '\r');
    let quoted =
        |cell: String| if cell.contains(special) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell };
    cells.into_iter().map(quoted).collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_mistakes_come_first() {
        let names = ["a", "b,\"c\"", "d"].map(str::to_owned);
        let report = Report::new(&names, &[0, 0, 0, 1, 2, 2], &[0, 1, 2, 1, 1, 1], 0.5);
        let found = most_confused(&report);
        let shown: Vec<(&str, &str, u64)> =
            found.iter().map(|pair| (pair.label, pair.prediction, pair.images)).collect();
        assert_eq!(shown, [("d", "b,\"c\"", 2), ("a", "b,\"c\"", 1), ("a", "d", 1)]);
        assert_eq!(found[0].share, 1.0);
        let text = csv(&report);
        let quoted = "\"b,\"\"c\"\"\"";
        assert_eq!(text, format!("label \\ prediction,a,{quoted},d\na,1,1,1\n{quoted},0,1,0\nd,0,2,0\n"));
    }
}
