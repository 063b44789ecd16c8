//! Which examples are validated on.

use tilegrad_kernels::hash;

use super::error::name_list;
use super::{Dataset, Splits};

/// The stream of random numbers that picks examples to validate on.
const STREAM: u32 = 0x6000_0000;

/// How the examples to validate on are taken from those to train on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// The same share of every class, picked by the seed.
    #[default]
    Stratified,
    /// The last ones, whatever their classes.
    End,
}

impl Split {
    /// Every way, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::Stratified, Self::End];

    /// Its name in configurations.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stratified => "stratified",
            Self::End => "end",
        }
    }
}

/// What is trained on, and what is validated on: a set of its own, or a share of the first.
#[derive(Clone, Copy, Debug)]
pub struct TrainingData<'a> {
    /// Examples to train on. Without `validation`, some of them are held out.
    pub train: &'a Dataset,
    /// Examples to validate on; its classes are found in `train` by name.
    pub validation: Option<&'a Dataset>,
}

impl<'a> From<&'a Dataset> for TrainingData<'a> {
    fn from(train: &'a Dataset) -> Self {
        Self { train, validation: None }
    }
}

impl<'a> From<&'a Splits> for TrainingData<'a> {
    fn from(splits: &'a Splits) -> Self {
        Self { train: &splits.train, validation: splits.validation.as_ref() }
    }
}

/// Examples by their indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// Examples of [`TrainingData::train`] that are trained on, ascending.
    pub train: Vec<u32>,
    /// Examples that are validated on, ascending: of [`TrainingData::validation`], or of `train` if there is none.
    pub validation: Vec<u32>,
    /// What may surprise: classes with too few examples. A sentence each, without a full stop.
    pub warnings: Vec<String>,
}

impl TrainingData<'_> {
    /// Divides the examples: `share` of them are validated on, unless a set of its own is there for that. The same on
    /// every machine.
    pub fn divide(self, share: f64, split: Split, seed: u32) -> Division {
        let examples = self.train.len() as u32;
        let held_out = match self.validation {
            Some(_) => Vec::new(),
            None => held_out(self.train, share, split, seed),
        };
        let train: Vec<u32> = (0..examples).filter(|example| held_out.binary_search(example).is_err()).collect();
        let validation: Vec<u32> = self.validation.map_or(held_out, |own| (0..own.len() as u32).collect());
        let warnings = self.warnings(&train, &validation);
        Division { train, validation, warnings }
    }

    fn warnings(self, train: &[u32], validation: &[u32]) -> Vec<String> {
        let classes = self.train.classes();
        let trained = counts(self.train, train);
        let validated = match self.validation {
            None => counts(self.train, validation),
            Some(own) => {
                let by_name = counts(own, validation);
                let count = |class| own.classes().iter().position(|name| name == class).map_or(0, |at| by_name[at]);
                classes.iter().map(count).collect()
            }
        };
        let all = |class: usize| trained[class] + validated[class];
        let named = |what: &str, which: &dyn Fn(usize) -> bool| {
            let names: Vec<String> = (0..classes.len()).filter(|&at| which(at)).map(|at| classes[at].clone()).collect();
            (!names.is_empty()).then(|| format!("{what}: {}", name_list(&names)))
        };
        let has_validation = !validation.is_empty();
        let found = [
            named("classes without any example", &|at| all(at) == 0),
            named("classes with a single example", &|at| all(at) == 1),
            named("classes without an example to train on", &|at| trained[at] == 0 && all(at) > 0),
            named("classes without an example to validate on", &|at| {
                has_validation && validated[at] == 0 && all(at) > 1
            }),
        ];
        found.into_iter().flatten().collect()
    }
}

/// How many of `examples` are of each class.
fn counts(data: &Dataset, examples: &[u32]) -> Vec<usize> {
    let mut counts = vec![0; data.classes().len()];
    for &example in examples {
        counts[data.labels()[example as usize] as usize] += 1;
    }
    counts
}

/// The examples to validate on, ascending.
fn held_out(data: &Dataset, share: f64, split: Split, seed: u32) -> Vec<u32> {
    let examples = data.len() as u32;
    let total = (f64::from(examples) * share).floor() as u32;
    match split {
        Split::End => (examples - total..examples).collect(),
        Split::Stratified => {
            let mut members = vec![Vec::new(); data.classes().len()];
            for (example, &label) in (0..).zip(data.labels()) {
                members[label as usize].push(example);
            }
            // By their first examples: how classes are numbered must not decide who is held out.
            members.sort_by_key(|members| members.first().copied());
            let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
            let quotas = quotas(&sizes, share, total as usize);
            let mut held_out: Vec<u32> =
                members.into_iter().zip(quotas).flat_map(|(members, quota)| picked(members, quota, seed)).collect();
            held_out.sort_unstable();
            held_out
        }
    }
}

/// `quota` of the examples, by random numbers that depend on the seed and the example alone.
fn picked(mut members: Vec<u32>, quota: usize, seed: u32) -> Vec<u32> {
    members.sort_by_key(|&example| (hash::bits(seed, STREAM, example), example));
    members.truncate(quota);
    members
}

/// How many of each class to hold out, `total` in all if they can be had: each class's share rounded down, and what is
/// left over to classes without one, then by the largest remainder. One example of each class stays to train on.
fn quotas(sizes: &[usize], share: f64, total: usize) -> Vec<usize> {
    let most = |class: usize| sizes[class].saturating_sub(1);
    let exact = |class: usize| sizes[class] as f64 * share;
    let mut quotas: Vec<usize> =
        (0..sizes.len()).map(|class| (exact(class).floor() as usize).min(most(class))).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    let remainder = |class: usize| exact(class) - exact(class).floor();
    order.sort_by(|&a, &b| (quotas[a] > 0).cmp(&(quotas[b] > 0)).then(remainder(b).total_cmp(&remainder(a))));
    let mut left = total.saturating_sub(quotas.iter().sum());
    while left > 0 && (0..sizes.len()).any(|class| quotas[class] < most(class)) {
        for &class in &order {
            if left > 0 && quotas[class] < most(class) {
                quotas[class] += 1;
                left -= 1;
            }
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::super::ImageShape;
    use super::*;

    fn data(labels: Vec<u32>, classes: u32) -> Dataset {
        let shape = ImageShape { height: 1, width: 1, channels: 1 };
        let names = (0..classes).map(|class| class.to_string()).collect();
        Dataset::new("d", shape, vec![0; labels.len()], labels, names).unwrap()
    }

    /// `sizes[c]` examples of each class `c`, sorted by class.
    fn sorted(sizes: &[usize]) -> Dataset {
        let labels = (0..).zip(sizes).flat_map(|(class, &size)| std::iter::repeat_n(class, size));
        data(labels.collect(), sizes.len() as u32)
    }

    fn divide(data: &Dataset, share: f64, split: Split) -> Division {
        TrainingData::from(data).divide(share, split, 42)
    }

    #[test]
    fn the_end_is_the_last_share_whatever_its_classes() {
        let division = divide(&sorted(&[5, 5]), 0.25, Split::End);
        assert_eq!((division.train, division.validation), ((0..8).collect(), vec![8, 9]));
        assert_eq!(division.warnings, ["classes without an example to validate on: 0"]);
        let whole = divide(&sorted(&[5, 5]), 0.0, Split::End);
        assert_eq!((whole.train.len(), whole.validation.len(), whole.warnings.len()), (10, 0, 0));
    }

    #[test]
    fn a_stratified_split_takes_the_same_share_of_each_class() {
        let data = sorted(&[500, 400, 100, 50]);
        let division = divide(&data, 0.1, Split::Stratified);
        assert_eq!(counts(&data, &division.validation), [50, 40, 10, 5]);
        assert_eq!(counts(&data, &division.train), [450, 360, 90, 45]);
        let mut all = [division.train.clone(), division.validation.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1050).collect::<Vec<u32>>(), "every example is in one part");
        assert!(division.train.is_sorted() && division.validation.is_sorted() && division.warnings.is_empty());
        // Picked at random, not from one end: of 50 of 500, about half are in the first half.
        let first = division.validation.iter().filter(|&&example| example < 250).count();
        assert!((13..=37).contains(&first), "{first} of 50");
        assert_eq!(divide(&data, 0.1, Split::Stratified), division);
        let other = TrainingData::from(&data).divide(0.1, Split::Stratified, 43);
        assert_ne!(other.validation, division.validation);
    }

    #[test]
    fn what_rounding_leaves_goes_to_classes_without_one_first() {
        assert_eq!(quotas(&[95, 5], 0.1, 10), [9, 1]);
        assert_eq!(quotas(&[18, 15, 17], 0.1, 5), [2, 1, 2]);
        assert_eq!(quotas(&[3, 3, 3, 3], 0.1, 1), [1, 0, 0, 0]);
        // One example stays in the training, as does one of every class.
        assert_eq!(quotas(&[1, 1, 20], 0.5, 11), [0, 0, 11]);
        assert_eq!(quotas(&[2, 2], 0.99, 3), [1, 1]);
        assert_eq!(quotas(&[0, 10], 0.3, 3), [0, 3]);
    }

    #[test]
    fn classes_with_too_few_examples_are_named() {
        let division = divide(&sorted(&[0, 1, 30, 9]), 0.1, Split::Stratified);
        assert_eq!(
            division.warnings,
            ["classes without any example: 0", "classes with a single example: 1"],
            "{division:?}"
        );
        let split = divide(&sorted(&[2, 2, 2, 2, 12]), 0.05, Split::Stratified);
        assert_eq!(split.validation.len(), 1);
        assert_eq!(split.warnings, ["classes without an example to validate on: 0, 1, 2, 3"]);
        let end = divide(&sorted(&[8, 2]), 0.2, Split::End);
        assert_eq!(
            end.warnings,
            ["classes without an example to train on: 1", "classes without an example to validate on: 0"]
        );
    }

    #[test]
    fn a_set_of_its_own_leaves_the_training_examples_alone() {
        let (train, own) = (sorted(&[4, 4, 4]), data(vec![2, 2, 0], 3));
        let division = TrainingData { train: &train, validation: Some(&own) }.divide(0.5, Split::Stratified, 1);
        assert_eq!((division.train, division.validation), ((0..12).collect(), vec![0, 1, 2]));
        assert_eq!(division.warnings, ["classes without an example to validate on: 1"]);
    }
}
