//! What somebody probably meant.

/// `; did you mean …?` with the nearest of `names`, or all of them if none is near.
pub fn suggestion(text: &str, names: &[&str]) -> String {
    let near = names.iter().map(|name| (strsim::damerau_levenshtein(text, name), name)).min();
    match near {
        Some((edits, name)) if edits <= 2.max(text.len() / 3) => format!("; did you mean `{name}`?"),
        _ => format!("; known are {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::suggestion;

    #[test]
    fn the_nearest_name_or_all_of_them() {
        assert_eq!(suggestion("matmull", &["bias", "matmul"]), "; did you mean `matmul`?");
        assert_eq!(suggestion("fourier", &["bias", "relu"]), "; known are bias, relu");
    }
}
