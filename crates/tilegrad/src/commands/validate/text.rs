//! Findings as text: a table, what is wrong, and what was covered.

use super::check::{CaseResult, Outcome};
use super::golden::Golden;
use super::sweep::{Allowed, Findings, Row};
use crate::format::plural;
use crate::table::{Align, Table};

/// Everything that was found on a device, with tables of at most `width` columns; `verbose` has a line per case.
pub fn findings(findings: &Findings, verbose: bool, width: Option<usize>) -> String {
    let mut parts = Vec::new();
    if !findings.kernels.is_empty() {
        parts.push(table(&findings.kernels, verbose).fit(width));
    }
    parts.push(golden(&findings.golden));
    parts.extend(findings.kernels.iter().flat_map(|row| row.cases.iter().filter_map(|case| failure(row, case))));
    if let Some(problem) = &findings.problem {
        parts.push(format!("FAILED: {problem}\n"));
    }
    parts.retain(|part| !part.is_empty());
    parts.push(summary(findings));
    parts.join("\n")
}

/// Whether it passed, what was covered, and what was not.
pub fn summary(findings: &Findings) -> String {
    let verdict = if findings.passed { "passed" } else { "FAILED" };
    let mut text =
        format!("{verdict} on {} in {:.1} s; covered: {}", findings.device, findings.seconds, findings.covered);
    match findings.not_covered.as_slice() {
        [] => text.push_str("; nothing was left out"),
        lines => lines.iter().for_each(|line| text.push_str(&format!("\nnot covered: {line}"))),
    }
    text
}

fn table(rows: &[Row], verbose: bool) -> Table {
    let cases = if verbose { ("case", Align::Left) } else { ("cases", Align::Right) };
    let mut table = Table::new([
        ("kernel", Align::Left),
        ("variant", Align::Left),
        cases,
        ("error/tolerance", Align::Right),
        ("where", Align::Left),
        ("tolerance", Align::Left),
        ("time", Align::Right),
        ("", Align::Left),
    ]);
    for row in rows {
        if verbose {
            row.cases.iter().for_each(|case| table.row(cells(row, case.case.clone(), Some(case), false, case.ms)));
        } else {
            let ms = row.cases.iter().map(|case| case.ms).sum();
            table.row(cells(row, row.cases.len().to_string(), row.worst(), true, ms));
        }
    }
    table
}

fn cells(row: &Row, cases: String, worst: Option<&CaseResult>, named: bool, ms: f64) -> [String; 8] {
    let (error, place, verdict) = worst.map_or_else(Default::default, |case| shown(case, named));
    let time = format!("{ms:.0} ms");
    [row.kernel.into(), row.variant.into(), cases, error, place, tolerance(row.tolerance), time, verdict]
}

/// The error, its place and the verdict of a case.
fn shown(case: &CaseResult, named: bool) -> (String, String, String) {
    let of_case = if named { format!("{}: ", case.case) } else { String::new() };
    match &case.outcome {
        Outcome::Compared { largest_error, buffer, index, bad_count, .. } => {
            let verdict = if *bad_count == 0 { "" } else { "FAILED" };
            let equal = *largest_error == 0.0;
            let place = if equal { String::new() } else { format!("{of_case}{buffer}[{index}]") };
            (if equal { "equal".into() } else { share(*largest_error) }, place, verdict.into())
        }
        Outcome::NotCovered { .. } => (String::new(), String::new(), "not covered".into()),
        Outcome::Refused { .. } => (String::new(), of_case.trim_end_matches(": ").into(), "FAILED".into()),
    }
}

fn share(value: f64) -> String {
    match value {
        value if value.is_infinite() => "beyond any".into(),
        value if value < 0.001 => "<0.001".into(),
        value if value < 1000.0 => format!("{value:.3}"),
        value => format!("{value:.1e}"),
    }
}

fn tolerance(allowed: Allowed) -> String {
    match allowed {
        Allowed { relative: 0.0, scaled: 0.0, .. } => "exact".into(),
        Allowed { relative, scaled, .. } => format!("{relative:e} own + {scaled:e} largest"),
    }
}

/// What is wrong with a case, with its first bad elements.
fn failure(row: &Row, case: &CaseResult) -> Option<String> {
    let head = format!("FAILED: {} ({}), case {}", row.kernel, row.variant, case.case);
    match &case.outcome {
        Outcome::Refused { problem } => Some(format!("{head}: {problem}\n")),
        Outcome::Compared { buffer, bad, bad_count, elements, .. } if *bad_count > 0 => {
            let count = plural(*elements, "element");
            let reason = row.tolerance.reason;
            let mut text = format!("{head}: buffer `{buffer}`, {bad_count} of {count} too far off ({reason})\n");
            for bad in bad {
                let (index, got, expected, allowed) = (bad.index, bad.got as f32, bad.expected as f32, bad.allowed);
                text.push_str(&format!(
                    "  {buffer}[{index}] is {got}, expected {expected}, allowed error {allowed:e}\n"
                ));
            }
            Some(text)
        }
        Outcome::Compared { .. } | Outcome::NotCovered { .. } => None,
    }
}

fn golden(golden: &Golden) -> String {
    match golden {
        Golden::Compared { losses, expected, largest_error, step } => {
            let head = format!("golden steps: {} losses against PyTorch in float64", losses.len());
            let (got, wanted) = (losses[step - 1], expected[step - 1]);
            let verdict = if golden.failed() { "FAILED: " } else { "" };
            let share = share(*largest_error);
            format!(
                "{verdict}{head}; the largest error is {share} of the allowed 1e-4, in step {step}: {got:.6}, expected {wanted:.6}\n"
            )
        }
        Golden::Refused { problem } => format!("FAILED: golden steps: {problem}\n"),
        // Said with all else that was not covered.
        Golden::NotCovered { .. } => String::new(),
    }
}
