//! Reads a TOML table key by key, so that every problem names its place and every misspelt key its neighbour.

use crate::ModelError;
use toml::{Table, Value};

/// A table whose keys are taken one by one; whatever is left at the end is unknown.
pub(crate) struct Section {
    place: String,
    table: Table,
    known: Vec<&'static str>,
}

impl Section {
    /// `place` names the table in messages, such as `mnist.toml: [train]`.
    pub fn new(place: impl Into<String>, table: Table) -> Self {
        Self { place: place.into(), table, known: Vec::new() }
    }

    /// Where this table stands.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// An error about this table.
    pub fn error(&self, problem: impl Into<String>) -> ModelError {
        ModelError::config(&self.place, problem)
    }

    /// An error that `key` is missing, and what it is for; or that it is misspelt, if a key like it is there.
    pub fn missing(&self, key: &'static str, purpose: &str) -> ModelError {
        match self.table.keys().find(|other| is_near(other, strsim::damerau_levenshtein(other, key))) {
            Some(other) => self.error(format!("unknown key `{other}`; did you mean `{key}`?")),
            None => self.error(format!("`{key}` is missing{purpose}")),
        }
    }

    /// Takes `key` out, if it is there.
    pub fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// Takes a table of its own.
    pub fn section(&mut self, key: &'static str) -> Result<Option<Self>, ModelError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Table(table)) => Ok(Some(Self::new(format!("{}[{key}]", self.prefix()), table))),
            Some(other) => Err(self.wrong(key, "a table", &other)),
        }
    }

    /// Takes a list of tables.
    pub fn sections(&mut self, key: &'static str) -> Result<Vec<Self>, ModelError> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let Value::Array(items) = value else { return Err(self.wrong(key, "a list of tables", &value)) };
        let items = items.into_iter().enumerate().map(|(i, item)| match item {
            Value::Table(table) => Ok(Self::new(format!("{}[[{key}]] number {}", self.prefix(), i + 1), table)),
            other => Err(self.wrong(key, "a list of tables", &other)),
        });
        items.collect()
    }

    /// Takes a whole number from `least` to 2^32 - 1.
    pub fn whole(&mut self, key: &'static str, least: u32) -> Result<Option<u32>, ModelError> {
        self.take(key).map(|value| self.whole_of(key, &value, least)).transpose()
    }

    fn whole_of(&self, key: &str, value: &Value, least: u32) -> Result<u32, ModelError> {
        let number = value.as_integer().and_then(|number| u32::try_from(number).ok()).filter(|number| *number >= least);
        number.ok_or_else(|| self.wrong(key, &format!("a whole number of at least {least}"), value))
    }

    /// Takes one whole number, or a list of `N` of them.
    pub fn wholes<const N: usize>(&mut self, key: &'static str, least: u32) -> Result<Option<[u32; N]>, ModelError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let items = match &value {
            Value::Array(items) => {
                items.iter().map(|item| self.whole_of(key, item, least)).collect::<Result<_, _>>()?
            }
            one => vec![self.whole_of(key, one, least)?; N],
        };
        let items = <[u32; N]>::try_from(items);
        items.map(Some).map_err(|_| self.wrong(key, &format!("a list of {N} whole numbers"), &value))
    }

    /// Takes a finite number within `range`.
    pub fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
        match number.filter(|number| number.is_finite() && range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let wanted = match (range.start(), range.end()) {
                    (start, end) if *end >= f64::from(f32::MAX) => format!("a finite number of at least {start}"),
                    (start, end) => format!("a number from {start} to {end}"),
                };
                Err(self.wrong(key, &wanted, &value))
            }
        }
    }

    /// Takes true or false.
    pub fn flag(&mut self, key: &'static str) -> Result<Option<bool>, ModelError> {
        self.take(key).map(|value| value.as_bool().ok_or_else(|| self.wrong(key, "true or false", &value))).transpose()
    }

    /// Takes a text.
    pub fn text(&mut self, key: &'static str) -> Result<Option<String>, ModelError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a text", &other)),
        }
    }

    /// Takes one of `words`.
    pub fn word(&mut self, key: &'static str, words: &[&'static str]) -> Result<Option<&'static str>, ModelError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => Err(self.error(format!("unknown {key} `{text}`{}", suggestion(&text, words)))),
        }
    }

    /// An error if any key was not taken.
    pub fn finish(self) -> Result<(), ModelError> {
        match self.table.keys().next() {
            None => Ok(()),
            Some(key) => Err(self.error(format!("unknown key `{key}`{}", suggestion(key, &self.known)))),
        }
    }

    fn wrong(&self, key: &str, wanted: &str, found: &Value) -> ModelError {
        self.error(format!("`{key}` must be {wanted}, found {}", found.to_string().replace('\n', " ")))
    }

    fn prefix(&self) -> String {
        if self.place.contains('[') { format!("{}.", self.place) } else { format!("{}: ", self.place) }
    }
}

/// `; did you mean …?` with the nearest of `words`, or all of them if none is near.
pub(crate) fn suggestion(text: &str, words: &[&str]) -> String {
    let near = words.iter().map(|word| (strsim::damerau_levenshtein(text, word), word)).min();
    match near {
        Some((distance, word)) if is_near(text, distance) => format!("; did you mean `{word}`?"),
        _ => format!("; known are {}", words.join(", ")),
    }
}

/// Whether so many edits turn `text` into what was probably meant.
fn is_near(text: &str, edits: usize) -> bool {
    edits <= 2.max(text.len() / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Section {
        Section::new("net.toml", text.parse().unwrap())
    }

    #[test]
    fn a_misspelt_key_names_its_neighbour() {
        let mut section = section("epocs = 3");
        assert_eq!(section.whole("epochs", 1).unwrap(), None);
        assert_eq!(section.finish().unwrap_err().to_string(), "net.toml: unknown key `epocs`; did you mean `epochs`?");
    }

    #[test]
    fn a_missing_key_may_be_a_misspelt_one() {
        let message = |text: &str| section(text).missing("filters", "").to_string();
        assert_eq!(message("filtres = 3"), "net.toml: unknown key `filtres`; did you mean `filters`?");
        assert_eq!(message("size = 3"), "net.toml: `filters` is missing");
    }

    #[test]
    fn wrong_values_say_what_was_expected_and_found() {
        for (text, wanted) in
            [("x = -1", "at least 1, found -1"), ("x = \"a\"", "found \"a\""), ("x = 5000000000", "5000000000")]
        {
            let error = section(text).whole("x", 1).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let error = section("x = nan").number("x", 0.0..=1.0).unwrap_err().to_string();
        assert!(error.contains("from 0 to 1, found nan"), "{error}");
        let error = section("x = [1]").wholes::<2>("x", 0).unwrap_err().to_string();
        assert!(error.contains("list of 2 whole numbers"), "{error}");
    }

    #[test]
    fn one_number_stands_for_a_list_of_it() {
        assert_eq!(section("x = 3").wholes::<2>("x", 0).unwrap(), Some([3, 3]));
        assert_eq!(section("x = [3, 4]").wholes::<2>("x", 0).unwrap(), Some([3, 4]));
    }
}
