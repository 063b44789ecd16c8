//! The loader's other rewriting: loops over register tiles, written out turn by turn.
//!
//! naga writes each loop as `while(true)`, and DX12's compilers then leave an array that the loop indexes in memory, one
//! access for each use. With constant indices every element becomes a register. Compilers for Vulkan unroll by themselves.

/// What counts the rows, columns and loads of a register tile.
const BOUNDS: [&str; 4] = ["ROWS", "COLUMNS", "ROW_QUADS", "COLUMN_QUADS"];
const LOADS: &str = "_LOADS";

/// `wgsl` with one block `{ const i = 0u; … }` per turn instead of each loop `for (var i = 0u; i < BOUND; i++)`, whose end is
/// the next brace of the same indentation. The bound is a literal, or a constant of the file that counts part of a register
/// tile. Loops with other bounds stay, and what stands in them is unrolled all the same.
///
/// # Panics
/// If the file has no value for such a bound, or such a loop has no end, or can be left before it.
pub fn unrolled(wgsl: &str) -> String {
    let lines: Vec<&str> = wgsl.lines().collect();
    let mut out = String::new();
    write(&lines, &constants(&lines), &mut out);
    out
}

fn write(mut lines: &[&str], constants: &[(&str, u32)], out: &mut String) {
    while let Some((line, after)) = lines.split_first() {
        lines = match Loop::of(line, constants) {
            Some(head) => {
                let body = head.body(after);
                head.write(body, constants, out);
                &after[body.len() + 1..]
            }
            None => {
                push(out, line);
                after
            }
        };
    }
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// The first line of a loop that is unrolled.
struct Loop<'a> {
    indent: &'a str,
    variable: &'a str,
    first: u32,
    end: u32,
}

impl<'a> Loop<'a> {
    fn of(line: &'a str, constants: &[(&str, u32)]) -> Option<Self> {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let (start, rest) = code.strip_prefix("for (var ")?.split_once("; ")?;
        let (variable, first) = start.split_once(" = ")?;
        let bound = rest.strip_prefix(variable)?.strip_prefix(" < ")?;
        let bound = bound.strip_suffix(&format!("; {variable}++) {{"))?;
        Some(Self { indent, variable, first: literal(first)?, end: turns(bound, constants)? })
    }

    /// The lines up to the closing brace.
    fn body<'b>(&self, after: &'b [&'b str]) -> &'b [&'b str] {
        let end = |line: &&str| line.strip_prefix(self.indent) == Some("}");
        let Some(length) = after.iter().position(end) else {
            panic!("the loop over `{}` has no end at its own indentation", self.variable);
        };
        let body = &after[..length];
        let jumps = body.iter().any(|line| words(line).any(|word| ["break", "continue", "return"].contains(&word)));
        assert!(!jumps, "the loop over `{}` can be left before its end, so it can't be unrolled", self.variable);
        body
    }

    fn write(&self, body: &[&str], constants: &[(&str, u32)], out: &mut String) {
        let Self { indent, variable, first, end } = *self;
        for turn in first..end {
            push(out, &format!("{indent}{{"));
            push(out, &format!("{indent}    const {variable} = {turn}u;"));
            write(body, constants, out);
            push(out, &format!("{indent}}}"));
        }
    }
}

/// The words of a line's code, without its comment.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// Where a loop ends that is to be unrolled.
fn turns(bound: &str, constants: &[(&str, u32)]) -> Option<u32> {
    if BOUNDS.contains(&bound) || bound.ends_with(LOADS) {
        let value = constants.iter().find(|(name, _)| *name == bound);
        return Some(value.unwrap_or_else(|| panic!("the WGSL has no value for `{bound}`, which bounds a loop")).1);
    }
    literal(bound)
}

/// The file's `const NAME: u32 = …;` lines whose value is a product or quotient, or a sum of them.
fn constants<'a>(lines: &[&'a str]) -> Vec<(&'a str, u32)> {
    let mut known: Vec<(&str, u32)> = Vec::new();
    for line in lines {
        let parts = line.strip_prefix("const ").and_then(|rest| rest.split_once(": u32 = "));
        let value = parts.and_then(|(name, rest)| Some((name, sum(rest.split_once(';')?.0, &known)?)));
        known.extend(value);
    }
    known
}

fn sum(text: &str, known: &[(&str, u32)]) -> Option<u32> {
    text.split(" + ").try_fold(0_u32, |total, term| total.checked_add(product(term, known)?))
}

/// Factors and divisors from left to right, as WGSL takes them.
fn product(text: &str, known: &[(&str, u32)]) -> Option<u32> {
    let mut words = text.split(' ');
    let mut value = operand(words.next()?, known)?;
    while let Some(sign) = words.next() {
        let right = operand(words.next()?, known)?;
        value = match sign {
            "*" => value.checked_mul(right)?,
            "/" => value.checked_div(right)?,
            _ => return None,
        };
    }
    Some(value)
}

fn operand(word: &str, known: &[(&str, u32)]) -> Option<u32> {
    literal(word).or_else(|| known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value))
}

fn literal(word: &str) -> Option<u32> {
    word.strip_suffix('u')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::unrolled;

    #[test]
    fn one_block_per_turn() {
        let wgsl = "\
const ROWS: u32 = 2u; // rows
fn f() {
    for (var i = 0u; i < ROWS; i++) {
        // Row i.
        sum[i] = 0.0;
    }
    g();
}
";
        let expected = "\
const ROWS: u32 = 2u; // rows
fn f() {
    {
        const i = 0u;
        // Row i.
        sum[i] = 0.0;
    }
    {
        const i = 1u;
        // Row i.
        sum[i] = 0.0;
    }
    g();
}
";
        assert_eq!(unrolled(wgsl), expected);
    }

    /// The values that `i` takes in turn.
    fn turns(wgsl: &str) -> Vec<String> {
        let text = unrolled(wgsl);
        text.lines().filter_map(|line| line.trim().strip_prefix("const ")?.split_once(" = ")).fold(
            Vec::new(),
            |mut turns, (name, value)| {
                if !name.contains(':') {
                    turns.push(format!("{name}={}", value.trim_end_matches("u;")));
                }
                turns
            },
        )
    }

    #[test]
    fn loops_in_loops_and_in_what_stays_a_loop() {
        let wgsl = "\
const COLUMNS: u32 = 2u;
for (var p = 0u; p < BLOCK_K; p++) {
    for (var i = 1u; i < 3u; i++) {
        for (var j = 0u; j < COLUMNS; j++) {
            x += y[i][j];
        }
    }
}
";
        assert_eq!(turns(wgsl), ["i=1", "j=0", "j=1", "i=2", "j=0", "j=1"]);
        assert!(unrolled(wgsl).contains("for (var p = 0u; p < BLOCK_K; p++) {\n    {\n        const i = 1u;\n"));
    }

    #[test]
    fn bounds_are_computed_from_left_to_right() {
        let wgsl = "\
const BLOCK: u32 = 8u;
const WORKGROUP: u32 = 16u;
const A_LOADS: u32 = BLOCK * 4u / WORKGROUP + 1u;
for (var i = 0u; i < A_LOADS; i++) {
}
";
        assert_eq!(turns(wgsl), ["i=0", "i=1", "i=2"]);
    }

    #[test]
    fn other_loops_stay() {
        for head in [
            "for (var p = 0u; p < BLOCK_K; p++) {",
            "for (var p = first; p < ROWS; p++) {",
            "for (var p = 0u; p < ROWS; p += 2u) {",
            "for (var p = 0u; p <= ROWS; p++) {",
            "for (; row < ROWS; row++) {",
            "loop {",
        ] {
            let wgsl = format!("const BLOCK_K: u32 = 8u;\nconst ROWS: u32 = 8u;\n{head}\n    break;\n}}\n");
            assert_eq!(unrolled(&wgsl), wgsl);
        }
    }

    #[test]
    #[should_panic(expected = "`COLUMNS`")]
    fn a_bound_without_a_value_is_a_bug() {
        unrolled("for (var j = 0u; j < COLUMNS; j++) {\n}\n");
    }

    #[test]
    #[should_panic(expected = "no end")]
    fn a_loop_without_an_end_is_a_bug() {
        unrolled("for (var j = 0u; j < 2u; j++) {\n    }\n");
    }

    #[test]
    fn a_loop_that_can_be_left_is_a_bug() {
        for jump in ["break;", "continue;", "if x { return; }", "break if x;"] {
            let wgsl = format!("for (var j = 0u; j < 2u; j++) {{\n    {jump}\n}}\n");
            assert!(std::panic::catch_unwind(|| unrolled(&wgsl)).is_err(), "{jump}");
        }
        unrolled("for (var j = 0u; j < 2u; j++) {\n    breaks(); // no break\n}\n");
    }
}
