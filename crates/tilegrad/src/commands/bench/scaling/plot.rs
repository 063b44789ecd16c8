//! A picture of the three axes: time over size, and the line of constant cost per operation.

use super::axis::{Axis, LEAST_MS};
use crate::curves::{FONT, GRID, INK, SCALE, failed, picture};
use anyhow::Result;
use image::RgbImage;
use plotters::coord::Shift;
use plotters::coord::combinators::LogCoord;
use plotters::prelude::*;
use std::ops::Range;

const SIZE: (u32, u32) = (1500, 560);
/// Height of the title, and of the lines below the panels.
const HEAD: u32 = 44;
const FOOT: u32 = 52;
const MEASURED: RGBColor = RGBColor(31, 119, 180);
const CONSTANT: RGBColor = RGBColor(214, 98, 11);
const NOTE: RGBColor = RGBColor(95, 95, 95);

type Canvas<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, BitMapBackend<'a>, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;

/// The lines of a panel, as points of size and milliseconds.
struct Lines {
    measured: Vec<(f64, f64)>,
    constant: Vec<(f64, f64)>,
}

/// The PNG file of the axes.
pub fn png(device: &str, axes: &[Axis]) -> Result<Vec<u8>> {
    picture(SIZE, |pixels| draw(pixels, device, axes))
}

fn draw(pixels: &mut RgbImage, device: &str, axes: &[Axis]) -> Result<()> {
    let root = BitMapBackend::with_buffer(pixels, (SIZE.0 * SCALE, SIZE.1 * SCALE)).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let (head, rest) = root.split_vertically(HEAD * SCALE);
    let (panels, foot) = rest.split_vertically((SIZE.1 - HEAD - FOOT) * SCALE);
    let device: String = device.chars().take(60).collect();
    text(&head, &format!("A training step on {device}"), 14, 22, &INK)?;
    let lines: Vec<Lines> = axes.iter().map(lines).collect();
    let heights =
        range(lines.iter().flat_map(|lines| lines.measured.iter().chain(&lines.constant)).map(|point| point.1));
    for ((area, axis), lines) in panels.split_evenly((1, axes.len())).iter().zip(axes).zip(&lines) {
        panel(area, axis, lines, heights.clone())?;
    }
    let about = format!(
        "dots: measured, hollow below {LEAST_MS} ms, where fixed costs rule; \
                         line: constant time per operation, the best of the axis"
    );
    text(&foot, &about, 4, 14, &NOTE)?;
    text(&foot, &left_out(axes), 26, 14, &NOTE)?;
    root.present().map_err(failed)
}

/// What was measured, and what it would be if every operation took what it takes at the best point that counts.
fn lines(axis: &Axis) -> Lines {
    let points = || axis.points.iter().filter_map(|point| Some((f64::from(point.value), point.measured?)));
    let counted = points().filter(|(_, measured)| measured.ms >= LEAST_MS);
    let anchor = counted.min_by(|a, b| a.1.ps_per_flop.total_cmp(&b.1.ps_per_flop)).or_else(|| points().next_back());
    let constant = anchor.map_or(Vec::new(), |(_, anchor)| {
        points().map(|(value, measured)| (value, measured.flops as f64 * anchor.ms / anchor.flops as f64)).collect()
    });
    Lines { measured: points().map(|(value, measured)| (value, measured.ms)).collect(), constant }
}

fn panel(area: &Canvas<'_>, axis: &Axis, lines: &Lines, heights: Range<f64>) -> Result<()> {
    let widths = range(axis.points.iter().map(|point| f64::from(point.value)));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{} ({})", axis.name, axis.fixed), (FONT, 17 * SCALE).into_font().color(&INK))
        .margin(10 * SCALE)
        .margin_right(22 * SCALE)
        .x_label_area_size(46 * SCALE)
        .y_label_area_size(72 * SCALE)
        .build_cartesian_2d(widths.log_scale().base(2.0), heights.log_scale())
        .map_err(failed)?;
    mesh(&mut chart, axis)?;
    let line = |points: &[(f64, f64)], style| LineSeries::new(points.to_vec(), style);
    chart.draw_series(line(&lines.constant, CONSTANT.stroke_width(2 * SCALE))).map_err(failed)?;
    chart.draw_series(line(&lines.measured, MEASURED.stroke_width(2 * SCALE))).map_err(failed)?;
    let dots =
        |colour: RGBColor, radius: u32| move |&point: &(f64, f64)| Circle::new(point, radius * SCALE, colour.filled());
    let short = lines.measured.iter().filter(|point| point.1 < LEAST_MS);
    chart.draw_series(lines.measured.iter().map(dots(MEASURED, 5))).map_err(failed)?;
    chart.draw_series(short.map(dots(WHITE, 3))).map_err(failed)?;
    Ok(())
}

fn mesh(chart: &mut Chart<'_>, axis: &Axis) -> Result<()> {
    chart
        .configure_mesh()
        .bold_line_style(GRID.stroke_width(SCALE))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(SCALE))
        .label_style((FONT, 14 * SCALE).into_font().color(&INK))
        .axis_desc_style((FONT, 15 * SCALE).into_font().color(&INK))
        .x_desc(axis.name)
        .y_desc("ms per step")
        .x_labels(12)
        .x_label_formatter(&|value| whole(*value))
        .y_label_formatter(&|value| decade(*value))
        .draw()
        .map_err(failed)
}

/// The sizes without a measurement.
fn left_out(axes: &[Axis]) -> String {
    let of = |axis: &Axis| {
        let values: Vec<String> =
            axis.points.iter().filter(|point| point.measured.is_none()).map(|point| point.value.to_string()).collect();
        (!values.is_empty()).then(|| format!("{} {}", axis.name, values.join(", ")))
    };
    let missing: Vec<String> = axes.iter().filter_map(of).collect();
    if missing.is_empty() { "every size was measured".into() } else { format!("not measured: {}", missing.join("; ")) }
}

fn text(area: &Canvas<'_>, words: &str, top: u32, size: u32, colour: &RGBColor) -> Result<()> {
    let style = (FONT, size * SCALE).into_font().color(colour);
    area.draw(&Text::new(words.to_owned(), ((24 * SCALE) as i32, (top * SCALE) as i32), style)).map_err(failed)
}

/// A range around `values`, with air on both sides.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, 0.0), |(low, high), value| (value.min(low), value.max(high)));
    if low > high { 1.0..10.0 } else { low / 1.3..high * 1.3 }
}

fn whole(value: f64) -> String {
    if (value - value.round()).abs() < 1e-6 { format!("{value:.0}") } else { String::new() }
}

/// Only whole decades have a label.
fn decade(value: f64) -> String {
    let power = value.log10();
    if (power - power.round()).abs() < 1e-6 { format!("{}", 10f64.powi(power.round() as i32)) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_every_value() {
        let around = range([0.5, 80.0].into_iter());
        assert!(around.start < 0.5 && around.end > 80.0);
        assert_eq!(range(std::iter::empty()), 1.0..10.0);
        assert_eq!([whole(28.0), whole(2.5), decade(0.1), decade(3.0)], ["28", "", "0.1", ""]);
    }
}
