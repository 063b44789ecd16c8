//! What was classified wrong: a list, and the pictures themselves.

use super::confusion::record;
use super::part::Examples;
use crate::format;
use crate::run_folder::check_parent;
use anyhow::{Context, Result, bail, ensure};
use image::{ExtendedColorType, ImageFormat};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use tilegrad_model::data::Dataset;
use tilegrad_model::{Loss, write_atomically};

/// Most pictures that are written.
const MOST_PICTURES: usize = 1000;
/// Name of the list in a folder of pictures.
const LIST: &str = "errors.csv";

/// Where mistakes are written to.
#[derive(Debug, Clone)]
pub enum Mistakes {
    Csv(PathBuf),
    JsonLines(PathBuf),
    Folder(PathBuf),
}

/// Reads the option's value.
pub fn parse(text: &str) -> Result<Mistakes, String> {
    let path = PathBuf::from(text);
    match path.extension().map(|ending| ending.to_ascii_lowercase()) {
        Some(ending) if ending == "csv" => Ok(Mistakes::Csv(path)),
        Some(ending) if ending == "jsonl" => Ok(Mistakes::JsonLines(path)),
        Some(_) if !path.is_dir() && !text.ends_with('/') => {
            Err("expected a name that ends in .csv or .jsonl, or the name of a folder".into())
        }
        _ => Ok(Mistakes::Folder(path)),
    }
}

/// An example that was classified wrong.
struct Mistake {
    /// Place among the examples.
    at: usize,
    label: usize,
    prediction: usize,
    score: f64,
}

impl Mistakes {
    /// An error if they could not be written there.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Csv(path) | Self::JsonLines(path) => check_parent(path),
            Self::Folder(path) if path.is_file() => bail!("{}: a file, expected a folder", path.display()),
            Self::Folder(path) => {
                let holds = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
                ensure!(!holds, "{}: the folder holds files already; name a new one for the errors", path.display());
                Ok(())
            }
        }
    }

    /// Writes them, and says what was written.
    pub fn write(&self, examples: &Examples, outputs: &[Vec<f32>], loss: Loss) -> Result<String> {
        let mistakes = found(&examples.data, outputs, loss);
        let list = List { examples, mistakes: &mistakes, word: loss.score_word() };
        let count = format::plural(mistakes.len(), "image");
        match self {
            Self::Csv(path) => write_atomically(path, list.csv().as_bytes())?,
            Self::JsonLines(path) => write_atomically(path, list.json_lines().as_bytes())?,
            Self::Folder(path) => return list.folder(path).map(|pictures| format!("{count} {pictures}")),
        }
        let (Self::Csv(path) | Self::JsonLines(path) | Self::Folder(path)) = self;
        Ok(format!("{count} listed in {}", path.display()))
    }
}

/// The mistakes, the surest first.
fn found(data: &Dataset, outputs: &[Vec<f32>], loss: Loss) -> Vec<Mistake> {
    let mistake = |(at, (row, &label)): (usize, (&Vec<f32>, &u32))| {
        let scores = loss.scores(row);
        let best = |best: usize, other: usize| if row[other] > row[best] { other } else { best };
        let prediction = (0..row.len()).fold(0, best);
        let label = label as usize;
        (prediction != label).then(|| Mistake { at, label, prediction, score: scores[prediction] })
    };
    let mut mistakes: Vec<Mistake> = outputs.iter().zip(data.labels()).enumerate().filter_map(mistake).collect();
    mistakes.sort_by(|a, b| b.score.total_cmp(&a.score));
    mistakes
}

/// Mistakes among examples; `word` says what their scores are.
struct List<'a> {
    examples: &'a Examples,
    mistakes: &'a [Mistake],
    word: &'static str,
}

impl List<'_> {
    /// Whether examples are known by their files; else by their rows.
    fn has_files(&self) -> bool {
        self.examples.data.file(0).is_some()
    }

    /// Heading of the column that says which example.
    fn which(&self) -> &'static str {
        if self.has_files() { "file" } else { "row" }
    }

    /// Which example it is.
    fn name(&self, mistake: &Mistake) -> String {
        let file = self.examples.data.file(mistake.at).map(|file| file.display().to_string());
        file.unwrap_or_else(|| self.examples.rows[mistake.at].to_string())
    }

    fn class(&self, class: usize) -> &str {
        &self.examples.data.classes()[class]
    }

    fn csv(&self) -> String {
        let row = |mistake: &Mistake| {
            let classes = [mistake.label, mistake.prediction].map(|class| self.class(class).to_owned());
            record([self.name(mistake)].into_iter().chain(classes).chain([mistake.score.to_string()]))
        };
        let title = record([self.which(), "label", "prediction", self.word].map(str::to_owned));
        [title].into_iter().chain(self.mistakes.iter().map(row)).collect()
    }

    fn json_lines(&self) -> String {
        let line = |mistake: &Mistake| {
            let row = self.examples.rows[mistake.at];
            let which = if self.has_files() { Value::from(self.name(mistake)) } else { Value::from(row) };
            let mut object = Map::new();
            object.insert(self.which().into(), which);
            object.insert("label".into(), self.class(mistake.label).into());
            object.insert("prediction".into(), self.class(mistake.prediction).into());
            object.insert(self.word.into(), mistake.score.into());
            Value::from(object).to_string() + "\n"
        };
        self.mistakes.iter().map(line).collect()
    }

    /// Writes the pictures as the network takes them, to `label/prediction/row.png`, and then the list.
    fn folder(&self, folder: &Path) -> Result<String> {
        let shown = &self.mistakes[..self.mistakes.len().min(MOST_PICTURES)];
        let make = |path: &Path| {
            fs::create_dir_all(path).with_context(|| format!("{}: the folder could not be made", path.display()))
        };
        make(folder)?;
        for mistake in shown {
            let [label, prediction] = [mistake.label, mistake.prediction].map(|class| file_name(self.class(class)));
            let place = folder.join(label).join(prediction);
            make(&place)?;
            let picture = place.join(format!("{}.png", self.examples.rows[mistake.at]));
            write_atomically(&picture, &png(&self.examples.data, mistake.at)?)?;
        }
        write_atomically(&folder.join(LIST), self.csv().as_bytes())?;
        let place = folder.display();
        Ok(match self.mistakes.len() > shown.len() {
            true => {
                format!("listed in {place}/{LIST}, the {MOST_PICTURES} surest beside it as label/prediction/row.png")
            }
            false => format!("in {place} as label/prediction/row.png, listed in {LIST}"),
        })
    }
}

/// Example `at` as a PNG file.
fn png(data: &Dataset, at: usize) -> Result<Vec<u8>> {
    let shape = data.shape();
    let colour = match shape.channels {
        1 => ExtendedColorType::L8,
        2 => ExtendedColorType::La8,
        3 => ExtendedColorType::Rgb8,
        4 => ExtendedColorType::Rgba8,
        channels => bail!("images of {channels} channels can't be shown as pictures; give --errors a .csv or .jsonl"),
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut bytes, data.image(at), shape.width, shape.height, colour, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// A class's name as one part of a path, on every system: no separators, no leading or trailing dots, nothing hidden.
fn file_name(class: &str) -> String {
    let safe = |c: char| if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c };
    let name: String = class.chars().map(safe).collect();
    if name.is_empty() || name.starts_with('.') || name.ends_with(['.', ' ']) { format!("_{name}_") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_classes_stay_in_their_folder() {
        let names = ["..", ".", "", "a/b", "c\\d", ".hidden", "\n", "plain name"].map(file_name);
        assert_eq!(names, ["_.._", "_._", "__", "a_b", "c_d", "_.hidden_", "_", "plain name"]);
    }

    #[test]
    fn the_ending_says_the_form() {
        assert!(
            matches!(parse("a.CSV"), Ok(Mistakes::Csv(_))) && matches!(parse("b.jsonl"), Ok(Mistakes::JsonLines(_)))
        );
        assert!(matches!(parse("wrong"), Ok(Mistakes::Folder(_))) && matches!(parse("v1.2/"), Ok(Mistakes::Folder(_))));
        assert!(parse("list.txt").unwrap_err().contains(".csv or .jsonl"));
    }
}
