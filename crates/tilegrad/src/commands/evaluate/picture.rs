//! The confusion matrix as a picture: a cell per pair of classes, as dark as the share of its label's images.

use crate::curves::{FONT, GRID, INK, SCALE, failed, picture};
use anyhow::Result;
use image::RgbImage;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use tilegrad_model::Report;

/// Most classes that a picture shows: a pixel for each pair.
pub const MOST_CLASSES: usize = 1000;

/// Side of the matrix that is aimed at, in pixels.
const SIDE: u32 = 720;
/// Room for the names of the classes, in pixels.
const NAMES: u32 = 150;
/// Room for the name of an axis, in pixels.
const AXIS: u32 = 36;
/// Smallest cell with a number in it, in pixels.
const NUMBERED: u32 = 26;
/// Letters of a name that have room.
const LETTERS: usize = 16;
const DARK: RGBColor = RGBColor(8, 48, 107);

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// The PNG file of the matrix.
pub fn png(report: &Report) -> Result<Vec<u8>> {
    let matrix = Matrix { report, cell: (SIDE / report.classes.len().max(1) as u32).clamp(1, 56) };
    let side = matrix.start() + matrix.side() + 24;
    picture((side, side), |large| matrix.draw(large))
}

/// A matrix with cells of a size in pixels.
struct Matrix<'a> {
    report: &'a Report,
    cell: u32,
}

impl Matrix<'_> {
    /// Left and upper edge of the cells.
    fn start(&self) -> u32 {
        NAMES + AXIS
    }

    fn side(&self) -> u32 {
        self.cell * self.report.classes.len() as u32
    }

    fn draw(&self, pixels: &mut RgbImage) -> Result<()> {
        let size = pixels.dimensions();
        let root = BitMapBackend::with_buffer(pixels, size).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        self.draw_cells(&root)?;
        self.draw_frame(&root)?;
        self.draw_names(&root)?;
        self.draw_axes(&root)?;
        root.present().map_err(failed)
    }

    fn draw_cells(&self, area: &Area<'_>) -> Result<()> {
        for (label, row) in self.report.confusion.iter().enumerate() {
            let support = self.report.classes[label].support.max(1);
            for (prediction, &images) in row.iter().enumerate().filter(|(_, images)| **images > 0) {
                let share = images as f64 / support as f64;
                let corner = |at: usize| place(self.start() + self.cell * at as u32);
                let (left, top) = (corner(prediction), corner(label));
                let cell = [(left, top), (corner(prediction + 1), corner(label + 1))];
                area.draw(&Rectangle::new(cell, shade(share).filled())).map_err(failed)?;
                if self.cell >= NUMBERED {
                    let ink = if share >= 0.4 { WHITE } else { INK };
                    let half = place(self.cell) / 2;
                    text(area, images.to_string(), (left + half, top + half), self.number_height(), ink, false)?;
                }
            }
        }
        Ok(())
    }

    /// Height of the numbers: the longest fits into its cell.
    fn number_height(&self) -> u32 {
        let most = self.report.confusion.iter().flatten().max().copied().unwrap_or(0);
        let digits = most.to_string().len() as u32;
        (self.cell * 8 / (5 * digits.max(2))).min(16)
    }

    /// Lines around the matrix, and between cells that are large enough for them.
    fn draw_frame(&self, area: &Area<'_>) -> Result<()> {
        let classes = self.report.classes.len();
        let (start, end) = (place(self.start()), place(self.start() + self.side()));
        for at in 0..=classes {
            let edge = at == 0 || at == classes;
            if !edge && self.cell < 8 {
                continue;
            }
            let style = if edge { INK } else { GRID }.stroke_width(SCALE / 2);
            // The first line lies outside: cells of one pixel would vanish below it.
            let line = place(self.start() + self.cell * at as u32) - i32::from(at == 0);
            area.draw(&PathElement::new([(line, start), (line, end)], style)).map_err(failed)?;
            area.draw(&PathElement::new([(start, line), (end, line)], style)).map_err(failed)?;
        }
        Ok(())
    }

    /// Names of the classes on both axes; of many, every so manyth.
    fn draw_names(&self, area: &Area<'_>) -> Result<()> {
        let height = self.cell.clamp(10, 15);
        let step = height.div_ceil(self.cell) as usize;
        for (at, class) in self.report.classes.iter().enumerate().step_by(step) {
            let middle = place(self.start() + self.cell * at as u32) + place(self.cell) / 2;
            let edge = place(self.start() - 8);
            let name = shortened(&class.class);
            let style = (FONT, height * SCALE).into_font().color(&INK);
            let row = style.clone().pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(name.clone(), (edge, middle), row)).map_err(failed)?;
            let column = style.transform(FontTransform::Rotate270).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(name, (middle, edge), column)).map_err(failed)?;
        }
        Ok(())
    }

    fn draw_axes(&self, area: &Area<'_>) -> Result<()> {
        let middle = place(self.start()) + place(self.side()) / 2;
        text(area, "prediction".into(), (middle, place(AXIS / 2)), 17, INK, false)?;
        text(area, "label".into(), (place(AXIS / 2), middle), 17, INK, true)
    }
}

/// A place in the large picture.
fn place(pixels: u32) -> i32 {
    (pixels * SCALE) as i32
}

/// White for nothing, dark for all; even a small share is seen.
fn shade(share: f64) -> RGBColor {
    let part = share.clamp(0.0, 1.0).powf(0.6);
    let mixed = |dark: u8| (255.0 + (f64::from(dark) - 255.0) * part).round() as u8;
    RGBColor(mixed(DARK.0), mixed(DARK.1), mixed(DARK.2))
}

fn shortened(name: &str) -> String {
    let short: String = name.chars().take(LETTERS).collect();
    if short.len() < name.len() { short + "…" } else { short }
}

/// A text around its middle, from below to above if `upwards`.
fn text(area: &Area<'_>, text: String, middle: (i32, i32), height: u32, ink: RGBColor, upwards: bool) -> Result<()> {
    let font = (FONT, height * SCALE).into_font();
    let font = if upwards { font.transform(FontTransform::Rotate270) } else { font };
    let style = font.color(&ink).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw(&Text::new(text, middle, style)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_has_the_shade_of_its_share() {
        for classes in [2u32, 50, 400] {
            let names: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
            let labels: Vec<u32> = (0..classes * 4).map(|i| i / 4).collect();
            let taken = |i: u32| if i % 4 == 3 { (i / 4 + 1) % classes } else { i / 4 };
            let predictions: Vec<u32> = (0..classes * 4).map(taken).collect();
            let report = Report::new(&names, &labels, &predictions, 0.5);
            let picture = image::load_from_memory(&png(&report).unwrap()).unwrap().into_rgb8();
            let matrix = Matrix { report: &report, cell: (SIDE / classes).clamp(1, 56) };
            let at = |label: u32, prediction: u32| {
                // Beside the lines and the number.
                let inside = if matrix.cell > 3 { 2 } else { 0 };
                let pixel = |cell: u32| matrix.start() + matrix.cell * cell + inside;
                picture.get_pixel(pixel(prediction), pixel(label)).0
            };
            for label in 1..classes - 1 {
                for prediction in 0..classes {
                    let RGBColor(r, g, b) = shade(report.confusion[label as usize][prediction as usize] as f64 / 4.0);
                    assert_eq!(at(label, prediction), [r, g, b], "{classes} classes: {label} as {prediction}");
                }
            }
        }
    }
}
