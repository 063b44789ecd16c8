//! Options that say which classes of the data are which of a model.

use clap::Args;
use tilegrad_model::data::ClassRule;

/// How the data's classes are found among the model's.
#[derive(Debug, Clone, Default, Args)]
pub struct ClassArgs {
    /// Rename classes of the data to the model's names, such as kat=cat,hond=dog
    #[arg(long, value_name = "DATA=MODEL", value_delimiter = ',', value_parser = rename)]
    classes: Vec<(String, String)>,
    /// Take the data's first class for the model's first, and so on, whatever they are called
    #[arg(long, conflicts_with = "classes")]
    ignore_class_names: bool,
}

impl ClassArgs {
    /// The rule that the options ask for.
    pub fn rule(&self) -> ClassRule {
        if self.ignore_class_names { ClassRule::ByPosition } else { ClassRule::ByName(self.classes.clone()) }
    }
}

fn rename(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.into(), to.into())),
        _ => Err("expected DATA=MODEL, such as kat=cat".into()),
    }
}
