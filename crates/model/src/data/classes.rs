//! Names of classes: their order, and which of a data set's are which of a model's.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::error::{Problem, name_list};

/// How the classes of a data set are found among those of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassRule {
    /// By name. Each pair renames a class of the data first: from its name there to its name in the model. Several may
    /// become the same one.
    ByName(Vec<(String, String)>),
    /// The data's first class is the model's first, whatever they are called.
    ByPosition,
}

impl Default for ClassRule {
    fn default() -> Self {
        Self::ByName(Vec::new())
    }
}

/// Orders names as people do: runs of digits by their value (`2` before `10`, `img2` before `img10`), all else by its
/// bytes. Names of the same value (`1`, `01`) come in byte order.
pub(super) fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    while let (Some(&x), Some(&y)) = (left.first(), right.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (take_number(&mut left), take_number(&mut right));
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            x.cmp(&y)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Takes the digits off the start of `text`, and gives them without leading zeros.
fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    &digits[digits.iter().position(|&digit| digit != b'0').unwrap_or(digits.len())..]
}

/// For each of the `data`'s classes its place among the `model`'s; `None` only for a class that is not `used`.
pub(super) fn places(
    model: &[String],
    data: &[String],
    used: &[bool],
    rule: &ClassRule,
) -> Result<Vec<Option<u32>>, Problem> {
    match rule {
        ClassRule::ByPosition => by_position(model.len(), used),
        ClassRule::ByName(renames) => by_name(model, data, used, renames),
    }
}

fn by_position(model: usize, used: &[bool]) -> Result<Vec<Option<u32>>, Problem> {
    let found = used.iter().rposition(|&used| used).map_or(0, |last| last + 1);
    if found > model {
        return Err(Problem::ClassesBeyond { found, model });
    }
    Ok((0..used.len()).map(|place| (place < model).then_some(place as u32)).collect())
}

fn by_name(
    model: &[String],
    data: &[String],
    used: &[bool],
    renames: &[(String, String)],
) -> Result<Vec<Option<u32>>, Problem> {
    check_renames(model, data, renames)?;
    let known: HashMap<&str, u32> = model.iter().map(String::as_str).zip(0..).collect();
    let renames: HashMap<&str, &str> = renames.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let place = |name: &String| known.get(*renames.get(name.as_str()).unwrap_or(&name.as_str())).copied();
    let places: Vec<Option<u32>> = data.iter().map(place).collect();
    let unknown =
        |((name, &used), place): ((&String, &bool), &Option<u32>)| (used && place.is_none()).then(|| name.clone());
    let new: Vec<String> = data.iter().zip(used).zip(&places).filter_map(unknown).collect();
    if new.is_empty() {
        return Ok(places);
    }
    let found: Vec<u32> = places.into_iter().flatten().collect();
    let missing = (0..).zip(model).filter(|(place, _)| !found.contains(place)).map(|(_, name)| name.clone());
    Err(names_differ(&new, &missing.collect::<Vec<_>>()))
}

/// That both sides of every renaming are there.
fn check_renames(model: &[String], data: &[String], renames: &[(String, String)]) -> Result<(), Problem> {
    for (from, to) in renames {
        for (class, names, whose) in [(from, data, "data"), (to, model, "model")] {
            if !names.contains(class) {
                let rename = name_list(&[format!("{from}={to}")]);
                let lack = format!("the {whose} has no class {}", name_list(&[class]));
                return Err(Problem::Rename { rename, lack, names: name_list(names) });
            }
        }
    }
    Ok(())
}

fn names_differ(new: &[String], missing: &[String]) -> Problem {
    let pair = |from: &String, to: &String| format!("{from}={to}");
    let alike =
        new.iter().filter_map(|from| missing.iter().find(|to| folded(to) == folded(from)).map(|to| pair(from, to)));
    let alike: Vec<String> = alike.collect();
    let rename = match (alike.is_empty(), missing.first()) {
        (false, _) => alike.join(","),
        (true, Some(to)) => pair(&new[0], to),
        (true, None) => format!("{}=CLASS", new[0]),
    };
    Problem::ClassNames { new: name_list(new), missing: name_list(missing), rename: super::error::one_line(&rename) }
}

/// What names that are probably meant to be the same have in common: no case, no leading zeros, no separators.
fn folded(name: &str) -> String {
    let mut folded = String::new();
    let mut rest = name.trim().as_bytes();
    while let Some(&first) = rest.first() {
        if first.is_ascii_digit() {
            folded.extend(take_number(&mut rest).iter().map(|&digit| char::from(digit)));
            folded.push('.');
        } else {
            rest = &rest[1..];
            if !b" _-".contains(&first) {
                folded.push(char::from(first.to_ascii_lowercase()));
            }
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn matched(model: &str, data: &str, rule: &ClassRule) -> Result<Vec<Option<u32>>, Problem> {
        let data = names(data);
        places(&names(model), &data, &vec![true; data.len()], rule)
    }

    fn renamed(pairs: &[(&str, &str)]) -> ClassRule {
        ClassRule::ByName(pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect())
    }

    #[test]
    fn names_of_digits_sort_as_numbers() {
        let sorted = |text: &str| {
            let mut names = names(text);
            names.sort_by(|a, b| natural_order(a, b));
            names.join(" ")
        };
        assert_eq!(sorted("0 1 10 11 2 3 4 5 6 7 8 9"), "0 1 2 3 4 5 6 7 8 9 10 11");
        assert_eq!(sorted("img10 img2 img img1 a2b10 a2b9 B"), "B a2b9 a2b10 img img1 img2 img10");
        assert_eq!(sorted("01 1 001 00 0 2"), "0 00 001 01 1 2");
        assert_eq!(sorted("x-2 x10 x x2y 99999999999999999999999 3"), "3 99999999999999999999999 x x-2 x2y x10");
    }

    #[test]
    fn the_order_is_total() {
        let names = names("0 00 1 01 10 2 a a0 a00 a1 a01 a1b a10 b é 1a 1-a");
        for (i, a) in names.iter().enumerate() {
            for (j, b) in names.iter().enumerate() {
                assert_eq!(natural_order(a, b), natural_order(b, a).reverse(), "{a} {b}");
                assert_eq!(natural_order(a, b).is_eq(), i == j, "{a} {b}");
                for c in &names {
                    let chain = natural_order(a, b).is_le() && natural_order(b, c).is_le();
                    assert!(!chain || natural_order(a, c).is_le(), "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn classes_are_found_by_name_and_a_subset_is_enough() {
        let by_name = ClassRule::default();
        assert_eq!(matched("left right up", "right left", &by_name).unwrap(), [Some(1), Some(0)]);
        assert_eq!(matched("0 1 2 3", "3", &by_name).unwrap(), [Some(3)]);
        let unused = places(&names("a c"), &names("a b c"), &[true, false, true], &by_name).unwrap();
        assert_eq!(unused, [Some(0), None, Some(1)]);
    }

    #[test]
    fn names_that_differ_are_listed() {
        let text = matched("left right", "apple zebra", &ClassRule::default()).unwrap_err().to_string();
        assert_eq!(
            text,
            "the classes are not the model's: new are apple, zebra, missing are left, right; rename them with --classes \
             apple=left, or match them by position with --ignore-class-names"
        );
        let extra = matched("left right", "left right up", &ClassRule::default()).unwrap_err().to_string();
        assert!(extra.contains("new are up, missing are none; rename them with --classes up=CLASS,"), "{extra}");
        let many: Vec<String> = (0..500).map(|class| format!("c{class}")).collect();
        let long = matched("a b", &many.join(" "), &ClassRule::default()).unwrap_err().to_string();
        assert!(long.contains("c0, c1, ") && long.contains("... (500 in all)") && long.len() < 400, "{long}");
    }

    #[test]
    fn names_that_look_alike_are_suggested() {
        let text = matched("0 1 Cat", "00 01 cat", &ClassRule::default()).unwrap_err().to_string();
        assert!(text.contains("--classes 00=0,01=1,cat=Cat,"), "{text}");
    }

    #[test]
    fn renamed_classes_are_found_and_may_be_joined() {
        let rule = renamed(&[("apple", "left"), ("zebra", "right"), ("yak", "right")]);
        assert_eq!(matched("left right", "apple yak zebra", &rule).unwrap(), [Some(0), Some(1), Some(1)]);
        // A swap is not undone by the second pair.
        assert_eq!(matched("a b", "a b", &renamed(&[("a", "b"), ("b", "a")])).unwrap(), [Some(1), Some(0)]);
        let typo = matched("left right", "apple", &renamed(&[("aple", "left")])).unwrap_err().to_string();
        assert_eq!(typo, "--classes aple=left: the data has no class aple; its classes are apple");
        let typo = matched("left right", "apple", &renamed(&[("apple", "lef")])).unwrap_err().to_string();
        assert!(typo.contains("the model has no class lef; its classes are left, right"), "{typo}");
    }

    #[test]
    fn positions_need_only_be_there() {
        assert_eq!(matched("left right", "x", &ClassRule::ByPosition).unwrap(), [Some(0)]);
        let text = matched("left right", "x y z", &ClassRule::ByPosition).unwrap_err().to_string();
        assert!(text.contains("3 classes, the model has 2"), "{text}");
    }
}
