//! A roofline picture: each kernel as a point under what arithmetic and memory allow.

use super::labels::{self, Area};
use super::report::{Point, Report};
use crate::curves::{FONT, GRID, INK, SCALE, failed, picture};
use anyhow::Result;
use image::RgbImage;
use plotters::coord::Shift;
use plotters::coord::combinators::LogCoord;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

const SIZE: (u32, u32) = (1000, 700);
/// Height of the lines below the axes.
const FOOT: u32 = 56;
const ROOF: RGBColor = RGBColor(214, 98, 11);
const KERNEL: RGBColor = RGBColor(31, 119, 180);
const NOTE: RGBColor = RGBColor(95, 95, 95);

type Canvas<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Plane<'a> = DrawingArea<BitMapBackend<'a>, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;
type Chart<'a> = ChartContext<'a, BitMapBackend<'a>, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;
type Pixel = (i32, i32);

/// The two ceilings, and where they meet.
struct Roof {
    gflops: f64,
    gbytes_per_s: f64,
}

/// The PNG file of a report.
pub fn png(report: &Report) -> Result<Vec<u8>> {
    picture(SIZE, |pixels| draw(pixels, report))
}

fn draw(pixels: &mut RgbImage, report: &Report) -> Result<()> {
    let root = BitMapBackend::with_buffer(pixels, (SIZE.0 * SCALE, SIZE.1 * SCALE)).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let (points, hidden) = report.points();
    let roof = Roof { gflops: report.ceilings.gflops, gbytes_per_s: report.ceilings.gbytes_per_s };
    let (upper, lower) = root.split_vertically((SIZE.1 - FOOT) * SCALE);
    let title = format!("Roofline of a training step: {}, batch {}", short(&report.device, 40), report.batch);
    let chart = axes(&upper, &title, &points, &roof)?;
    let taken = draw_roof(&root, chart.plotting_area(), &roof)?;
    draw_points(&root, chart.plotting_area(), &points, &taken)?;
    foot(&lower, &hidden)?;
    root.present().map_err(failed)
}

fn axes<'a>(area: &Canvas<'a>, title: &str, points: &[Point], roof: &Roof) -> Result<Chart<'a>> {
    let xs = points.iter().map(|point| point.intensity).chain([roof.ridge()]);
    let ys = points.iter().map(|point| point.gflops).chain([roof.gflops]);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 22 * SCALE).into_font().color(&INK))
        .margin(14 * SCALE)
        .margin_right(28 * SCALE)
        .x_label_area_size(48 * SCALE)
        .y_label_area_size(76 * SCALE)
        .build_cartesian_2d(around(xs).log_scale(), around(ys).log_scale())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .bold_line_style(GRID.stroke_width(SCALE))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(SCALE))
        .label_style((FONT, 15 * SCALE).into_font().color(&INK))
        .axis_desc_style((FONT, 16 * SCALE).into_font().color(&INK))
        .x_desc("flops per byte")
        .y_desc("GFLOP/s")
        .x_label_formatter(&decade)
        .y_label_formatter(&decade)
        .draw()
        .map_err(failed)?;
    Ok(chart)
}

impl Roof {
    /// Flops per byte at which both ceilings are the same.
    fn ridge(&self) -> f64 {
        self.gflops / self.gbytes_per_s
    }

    fn at(&self, intensity: f64) -> f64 {
        self.gflops.min(self.gbytes_per_s * intensity)
    }
}

/// Draws both ceilings and their labels; gives the places that the lines and the labels take.
fn draw_roof(root: &Canvas<'_>, plane: &Plane<'_>, roof: &Roof) -> Result<(Vec<Area>, [Area; 2])> {
    let (xs, ys) = (plane.get_x_range(), plane.get_y_range());
    // The slope begins where it comes into sight.
    let first = xs.start.max(ys.start / roof.gbytes_per_s).min(roof.ridge());
    let corners = [first, roof.ridge(), xs.end].map(|x| plane.map_coordinate(&(x, roof.at(x))));
    root.draw(&PathElement::new(corners, ROOF.stroke_width(2 * SCALE))).map_err(failed)?;
    let lines = corners.windows(2).flat_map(|ends| along(ends[0], ends[1]));
    let [foot, ridge, end] = corners;
    let gap = 5 * SCALE as i32;
    let flat = format!("{} GFLOP/s, matrix product", three_digits(roof.gflops));
    let flat = text(root, &flat, (end.0 - gap, ridge.1 - gap), (HPos::Right, VPos::Bottom), &ROOF)?;
    // Left of the slope if there is room, else right of it.
    let slope = format!("{} GB/s, sum of vectors", three_digits(roof.gbytes_per_s));
    let middle = ((foot.0 + 3 * ridge.0) / 4 - gap, (foot.1 + 3 * ridge.1) / 4 - gap);
    let (left, width) = (plane.get_pixel_range().0.start, width(root, &slope)?);
    let (at, side) = if middle.0 - width > left {
        (middle, HPos::Right)
    } else {
        ((middle.0 + 3 * gap, middle.1 + 2 * gap), HPos::Left)
    };
    let slope = text(root, &slope, at, (side, VPos::Bottom), &ROOF)?;
    Ok((lines.collect(), [flat, slope]))
}

/// Small squares along a line.
fn along(from: Pixel, to: Pixel) -> impl Iterator<Item = Area> {
    let steps = 80;
    (0..=steps).map(move |step| {
        let between = |a: i32, b: i32| a + (b - a) * step / steps;
        Area::around((between(from.0, to.0), between(from.1, to.1)), 2 * SCALE as i32)
    })
}

fn draw_points(
    root: &Canvas<'_>,
    plane: &Plane<'_>,
    points: &[Point],
    (lines, texts): &(Vec<Area>, [Area; 2]),
) -> Result<()> {
    let disc = |point: &Point| {
        let radius = (4.0 + 14.0 * point.share.sqrt()) * f64::from(SCALE);
        Area::around(plane.map_coordinate(&(point.intensity, point.gflops)), radius as i32)
    };
    let discs: Vec<Area> = points.iter().map(disc).collect();
    let sizes =
        points.iter().map(|point| Ok((width(root, &point.name)?, 18 * SCALE as i32))).collect::<Result<Vec<_>>>()?;
    let (xs, ys) = plane.get_pixel_range();
    let bounds = Area { left: xs.start, top: ys.start, width: xs.end - xs.start, height: ys.end - ys.start };
    let places = labels::place(&bounds, lines, texts, &discs, &sizes);
    for (disc, place) in discs.iter().zip(&places) {
        let ((x, y), end) = (disc.middle(), place.nearest(disc.middle()));
        // A text that is beside its point needs no line.
        if (end.0 - x).abs().max((end.1 - y).abs()) < disc.width / 2 + 12 * SCALE as i32 {
            continue;
        }
        let ends = [(x, y), end];
        root.draw(&PathElement::new(ends, NOTE.mix(0.6).stroke_width(SCALE))).map_err(failed)?;
    }
    for ((disc, place), point) in discs.iter().zip(&places).zip(points) {
        let radius = disc.width / 2;
        root.draw(&Circle::new(disc.middle(), radius, KERNEL.mix(0.75).filled())).map_err(failed)?;
        root.draw(&Circle::new(disc.middle(), radius, WHITE.stroke_width(SCALE))).map_err(failed)?;
        let at = (place.left, place.top + place.height / 2);
        text(root, &point.name, at, (HPos::Left, VPos::Center), &INK)?;
    }
    Ok(())
}

/// What the picture means, and what it leaves out.
fn foot(area: &Canvas<'_>, hidden: &[String]) -> Result<()> {
    let left_out = match hidden {
        [] => "every kernel is shown".to_owned(),
        names => format!("not shown, without arithmetic or not measured: {}", names.join(", ")),
    };
    let about = "a point is a kernel, its area grows with the share of the step; bytes are the least that must move";
    for (line, text) in [about, &left_out].into_iter().enumerate() {
        let style = (FONT, 13 * SCALE).into_font().color(&NOTE);
        let at = ((24 * SCALE) as i32, (4 + 22 * line as u32) as i32 * SCALE as i32);
        area.draw(&Text::new(short(text, 130), at, style)).map_err(failed)?;
    }
    Ok(())
}

/// Writes `words` and gives the place that they take.
fn text(root: &Canvas<'_>, words: &str, at: Pixel, (h, v): (HPos, VPos), colour: &RGBColor) -> Result<Area> {
    let style = (FONT, 14 * SCALE).into_font().color(colour).pos(Pos::new(h, v));
    root.draw(&Text::new(words.to_owned(), at, style)).map_err(failed)?;
    let (width, height) = (width(root, words)?, 18 * SCALE as i32);
    let left = if matches!(h, HPos::Right) { at.0 - width } else { at.0 };
    let top = if matches!(v, VPos::Bottom) { at.1 - height } else { at.1 - height / 2 };
    Ok(Area { left, top, width, height })
}

fn width(root: &Canvas<'_>, words: &str) -> Result<i32> {
    let style = (FONT, 14 * SCALE).into_font().color(&INK);
    Ok(root.estimate_text_size(words, &style).map_err(failed)?.0 as i32 + 4 * SCALE as i32)
}

/// A range around `values`, with air on both sides and a few decades at the least.
fn around(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min) / 3.0;
    let high = values.fold(0.0, f64::max) * 3.0;
    if high / low < 100.0 { low / 5.0..high * 2.0 } else { low..high }
}

/// Only whole decades have a label.
fn decade(value: &f64) -> String {
    let power = value.log10();
    if (power - power.round()).abs() < 1e-6 { format!("{}", 10f64.powi(power.round() as i32)) } else { String::new() }
}

fn three_digits(value: f64) -> String {
    let digits = (2 - value.max(1e-9).log10().floor() as i32).clamp(0, 6) as usize;
    format!("{value:.digits$}")
}

/// `text`, cut to `most` letters.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.into() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axes_hold_every_value() {
        let range = around([0.5, 80.0].into_iter());
        assert!(range.start < 0.5 && range.end > 80.0);
        let narrow = around([1.0].into_iter());
        assert!(narrow.end / narrow.start >= 50.0);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1234.5, 95.44, 0.01234].map(three_digits), ["1234", "95.4", "0.0123"]);
        assert_eq!([decade(&0.1), decade(&1000.0), decade(&3.0)], ["0.1", "1000", ""]);
        assert_eq!([short("abc", 3), short("abcd", 3)], ["abc", "ab…"]);
    }
}
