//! The loader's only templating: `const NAME: u32 = …;` lines rewritten by name.

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

#[cfg(test)]
mod tests {
    use super::with_constants;

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
