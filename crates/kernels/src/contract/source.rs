//! The loader's templating, apart from `unroll`: `const NAME: u32 = …;` lines and `alias StoredNAME = f32;` lines rewritten by name.

/// `wgsl` with each named constant set to its value.
///
/// # Panics
/// If a constant has no line of its own in the file.
pub fn with_constants(wgsl: &str, constants: &[(&str, u32)]) -> String {
    let mut lines: Vec<String> = wgsl.lines().map(str::to_owned).collect();
    for (name, value) in constants {
        let head = format!("const {name}: u32 = ");
        match lines.iter_mut().find(|line| line.starts_with(&head)) {
            Some(line) => *line = format!("{head}{value}u;"),
            None => panic!("the WGSL has no line that starts with `{head}`"),
        }
    }
    lines.join("\n") + "\n"
}

/// `wgsl` with 16-bit floats in the buffers called `names`.
///
/// # Panics
/// If a buffer has no alias in the file.
pub fn with_halves(wgsl: String, names: impl Iterator<Item = &'static str>) -> String {
    let mut names = names.peekable();
    if names.peek().is_none() {
        return wgsl;
    }
    let mut wgsl = format!("enable f16;\n{wgsl}");
    for name in names {
        let wide = format!("alias {} = f32; // or f16\n", alias(name));
        assert!(wgsl.contains(&wide), "the WGSL has no line `{}`", wide.trim_end());
        wgsl = wgsl.replace(&wide, &format!("alias {} = f16;\n", alias(name)));
    }
    wgsl
}

/// The name in WGSL for what the buffer `name` stores: `StoredDLogits` for `d_logits`.
fn alias(name: &str) -> String {
    let words = name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
    "Stored".chars().chain(words.collect::<String>().chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::{with_constants, with_halves};

    #[test]
    fn halves_only_where_they_are_bound() {
        let wgsl = "// A file.\nalias StoredX = f32; // or f16\nalias StoredDLogits = f32; // or f16\n";
        let expected = "enable f16;\n// A file.\nalias StoredX = f32; // or f16\nalias StoredDLogits = f16;\n";
        assert_eq!(with_halves(wgsl.to_owned(), ["d_logits"].into_iter()), expected);
        assert_eq!(with_halves(wgsl.to_owned(), [].into_iter()), wgsl);
    }

    #[test]
    #[should_panic(expected = "alias StoredY")]
    fn a_buffer_without_an_alias_is_a_bug() {
        with_halves("alias StoredX = f32; // or f16\n".into(), ["y"].into_iter());
    }

    #[test]
    fn rewrites_only_the_named_line() {
        let wgsl = "const ROWS: u32 = 8u; // rows\nconst COLUMNS: u32 = 4u;\n";
        assert_eq!(with_constants(wgsl, &[("ROWS", 16)]), "const ROWS: u32 = 16u;\nconst COLUMNS: u32 = 4u;\n");
    }

    #[test]
    #[should_panic(expected = "const DEPTH")]
    fn a_missing_constant_is_a_bug() {
        with_constants("const ROWS: u32 = 8u;\n", &[("DEPTH", 1)]);
    }
}
