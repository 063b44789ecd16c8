//! curves.png: loss and accuracy over the epochs, side by side.

use anyhow::{Result, anyhow};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage, imageops};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::ops::Range;
use std::sync::Once;
use tilegrad_model::EpochRecord;

const SIZE: (u32, u32) = (1200, 500);
/// Drawn so much larger and scaled down, which smooths lines and letters.
pub(crate) const SCALE: u32 = 2;
pub(crate) const FONT: &str = "DejaVu Sans";
pub(crate) const INK: RGBColor = RGBColor(51, 51, 51);
pub(crate) const GRID: RGBColor = RGBColor(225, 225, 225);
const TRAIN: RGBColor = RGBColor(31, 119, 180);
const VALIDATION: RGBColor = RGBColor(214, 98, 11);

/// Epochs with a dot each; with more the dots would hide the lines.
const MOST_DOTS: usize = 40;

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// A line of one panel.
struct Curve {
    label: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// The PNG file of a training so far.
pub fn png(history: &[EpochRecord]) -> Result<Vec<u8>> {
    picture(SIZE, |large| draw(large, history))
}

/// The PNG file of a picture of `size`, drawn [`SCALE`] times as large on a black ground.
pub(crate) fn picture(size: (u32, u32), draw: impl FnOnce(&mut RgbImage) -> Result<()>) -> Result<Vec<u8>> {
    embed_font();
    let mut large = RgbImage::new(size.0 * SCALE, size.1 * SCALE);
    draw(&mut large)?;
    let small = imageops::thumbnail(&large, size.0, size.1);
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(&small, size.0, size.1, ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

fn draw(pixels: &mut RgbImage, history: &[EpochRecord]) -> Result<()> {
    let root = BitMapBackend::with_buffer(pixels, (SIZE.0 * SCALE, SIZE.1 * SCALE)).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2 * SCALE);
    let losses = [
        curve("training", TRAIN, history, |record| Some(record.train_loss)),
        curve("validation", VALIDATION, history, |record| record.val_loss),
    ];
    let accuracies = [
        curve("training", TRAIN, history, |record| Some(record.train_accuracy)),
        curve("validation", VALIDATION, history, |record| record.val_accuracy),
    ];
    panel(&left, "Loss", &losses, &SeriesLabelPosition::UpperRight)?;
    panel(&right, "Accuracy", &accuracies, &SeriesLabelPosition::LowerRight)?;
    root.present().map_err(failed)
}

/// Makes the font known once; plotters takes none from the system in this build, so the picture looks the same
/// everywhere.
fn embed_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A font that could not be read shows as an error when the first text is drawn.
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
    });
}

fn curve(
    label: &'static str,
    colour: RGBColor,
    history: &[EpochRecord],
    value: fn(&EpochRecord) -> Option<f64>,
) -> Curve {
    let points = history.iter().filter_map(|record| Some((f64::from(record.epoch), value(record)?)));
    Curve { label, colour, points: points.filter(|point| point.1.is_finite()).collect() }
}

fn panel(area: &Area<'_>, title: &str, curves: &[Curve], legend: &SeriesLabelPosition) -> Result<()> {
    let (epochs, values) = ranges(curves);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 24 * SCALE).into_font().color(&INK))
        .margin(16 * SCALE)
        .margin_right(24 * SCALE)
        .x_label_area_size(48 * SCALE)
        .y_label_area_size(72 * SCALE)
        .build_cartesian_2d(epochs.clone(), values)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.stroke_width(SCALE))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(SCALE))
        .label_style((FONT, 16 * SCALE).into_font().color(&INK))
        .axis_desc_style((FONT, 17 * SCALE).into_font().color(&INK))
        .x_desc("epoch")
        .x_labels(((epochs.end - epochs.start).round() as usize + 1).clamp(2, 11))
        .x_label_formatter(&whole)
        .y_labels(7)
        .y_label_formatter(&four_digits)
        .draw()
        .map_err(failed)?;
    for curve in curves.iter().filter(|curve| !curve.points.is_empty()) {
        let colour = curve.colour;
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2 * SCALE)))
            .map_err(failed)?
            .label(curve.label)
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 24 * SCALE as i32, y)], colour.stroke_width(3 * SCALE))
            });
        if curve.points.len() <= MOST_DOTS {
            let dots = curve.points.iter().map(|&point| Circle::new(point, 4 * SCALE, colour.filled()));
            chart.draw_series(dots).map_err(failed)?;
        }
    }
    chart
        .configure_series_labels()
        .position(legend.clone())
        .margin(14 * SCALE)
        .legend_area_size(36 * SCALE)
        .label_font((FONT, 16 * SCALE).into_font().color(&INK))
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .draw()
        .map_err(failed)
}

/// Ranges of both axes: every point lies inside, with some air above and below.
fn ranges(curves: &[Curve]) -> (Range<f64>, Range<f64>) {
    let points = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    let last = points().map(|point| point.0).fold(1.0, f64::max);
    let first = points().map(|point| point.0).fold(last, f64::min);
    let low = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let high = points().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    let epochs = if first < last { first..last } else { first - 1.0..last + 1.0 };
    if !low.is_finite() || !high.is_finite() {
        return (epochs, 0.0..1.0);
    }
    let air = ((high - low) * 0.06).max(high.abs() * 1e-3).max(1e-6);
    (epochs, low - air..high + air)
}

/// Epochs between whole ones have no label.
fn whole(epoch: &f64) -> String {
    if (epoch - epoch.round()).abs() < 1e-6 { format!("{epoch:.0}") } else { String::new() }
}

/// Four significant digits at most, without trailing zeros.
fn four_digits(value: &f64) -> String {
    let text = format!("{value:.4}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".into() } else { short.into() }
}

pub(crate) fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the picture could not be drawn: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: u32, loss: f64) -> EpochRecord {
        EpochRecord {
            epoch,
            step: epoch * 10,
            train_loss: loss,
            train_accuracy: 1.0 - loss,
            val_loss: Some(loss * 1.1),
            val_accuracy: None,
            images_per_s: 1.0,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_picture_has_its_size_and_colours() {
        for history in [vec![], vec![record(1, 0.5)], vec![record(1, 0.5), record(2, 0.25), record(3, 0.2)]] {
            let picture = image::load_from_memory(&png(&history).unwrap()).unwrap().into_rgb8();
            assert_eq!(picture.dimensions(), SIZE);
            let drawn = picture.pixels().any(|pixel| pixel.0 == [TRAIN.0, TRAIN.1, TRAIN.2]);
            assert_eq!(drawn, !history.is_empty());
        }
    }

    #[test]
    fn every_point_lies_inside_the_axes() {
        let history = [record(1, 0.5), record(2, 0.5)];
        let (epochs, values) = ranges(&[curve("", TRAIN, &history, |record| Some(record.train_loss))]);
        assert_eq!(epochs, 1.0..2.0);
        assert!(values.start < 0.5 && 0.5 < values.end);
        assert_eq!([whole(&3.0), whole(&2.5), four_digits(&0.98), four_digits(&-0.00001)], ["3", "", "0.98", "0"]);
    }
}
