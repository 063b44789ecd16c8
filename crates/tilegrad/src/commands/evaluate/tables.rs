//! What is printed: the figures of each class, the most confused pairs, and the confusion matrix where it fits.

use super::confusion::Confused;
use crate::format;
use crate::output::say;
use crate::table::{Align, Table};
use tilegrad_model::Report;

/// Most classes whose confusion matrix is printed.
const MOST_PRINTED: usize = 20;

/// Prints the figures.
pub fn print(report: &Report, confused: &[Confused<'_>]) {
    say!("loss {:.4}, accuracy {:.4}\n", report.loss, report.accuracy);
    say!("{}", per_class(report));
    if !confused.is_empty() {
        say!("most confused\n\n{}", pairs(confused));
    }
    if report.classes.len() <= MOST_PRINTED {
        say!("confusion matrix: a row per label, a column per prediction\n\n{}", matrix(report));
    } else {
        let classes = report.classes.len();
        say!("confusion matrix: {classes} classes are too many to show; --confusion FILE writes it (.csv or .png)\n");
    }
}

fn per_class(report: &Report) -> Table {
    let titles = [("class", Align::Left), ("precision", Align::Right), ("recall", Align::Right)];
    let mut table = Table::new(titles.into_iter().chain([("F1", Align::Right), ("support", Align::Right)]));
    let four = |value: f64| format!("{value:.4}");
    for class in &report.classes {
        let figures = [class.precision, class.recall, class.f1].map(four);
        let support = format::count(class.support);
        table.row([class.class.clone()].into_iter().chain(figures).chain([support]));
    }
    let figures = [report.macro_precision, report.macro_recall, report.macro_f1].map(four);
    let support = format::count(report.classes.iter().map(|class| class.support).sum());
    table.total(["macro average".to_owned()].into_iter().chain(figures).chain([support]));
    table
}

fn pairs(confused: &[Confused<'_>]) -> Table {
    let titles = [("label", Align::Left), ("prediction", Align::Left), ("images", Align::Right)];
    let mut table = Table::new(titles.into_iter().chain([("of the label", Align::Right)]));
    for pair in confused {
        let share = format!("{:.1} %", 100.0 * pair.share);
        table.row([pair.label.to_owned(), pair.prediction.to_owned(), format::count(pair.images), share]);
    }
    table
}

fn matrix(report: &Report) -> Table {
    let names = || report.classes.iter().map(|class| class.class.clone());
    let columns = names().map(|name| (name, Align::Right));
    let mut table = Table::new([(String::new(), Align::Left)].into_iter().chain(columns));
    for (name, row) in names().zip(&report.confusion) {
        table.row([name].into_iter().chain(row.iter().map(u64::to_string)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_hold_every_figure() {
        let report = Report::new(&["a".into(), "long name".into()], &[0, 0, 1], &[0, 1, 1], 0.5);
        let classes = per_class(&report).to_string();
        let lines: Vec<Vec<&str>> = classes.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[2], ["a", "1.0000", "0.5000", "0.6667", "2"]);
        assert_eq!(lines.last().unwrap()[..3], ["macro", "average", "0.7500"]);
        let matrix = matrix(&report).to_string();
        assert!(matrix.ends_with("a          1          1\nlong name  0          1\n"), "{matrix}");
        let pairs = pairs(&super::super::confusion::most_confused(&report)).to_string();
        assert!(pairs.ends_with("a      long name        1        50.0 %\n"), "{pairs}");
    }
}
