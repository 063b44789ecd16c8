//! Who may know whom: the three files of a kernel, and what each crate must not name.

use super::Violation;
use super::tree::Tree;

const KERNEL_LIST: &str = "crates/kernels/src/lib.rs";

/// Every shader has its Rust file and its line in the list, and every line of the list its shader.
pub fn kernel_in_three_files(tree: &Tree) -> Vec<Violation> {
    let stems = stems(tree);
    let listed = listed_kernels(tree.text(KERNEL_LIST).unwrap_or_default());
    let mut violations = Vec::new();
    for stem in &stems {
        let (shader, twin) = (format!("shaders/{stem}.wgsl"), format!("crates/kernels/src/{stem}.rs"));
        if !tree.has(&twin) {
            violations.push(Violation::new(&shader, 1, format!("has no {twin} to describe it")));
        }
        if !listed.iter().any(|(_, name)| name == stem) {
            violations.push(Violation::new(&shader, 1, format!("has no line in the kernels! list of {KERNEL_LIST}")));
        }
    }
    for (line, name) in listed.iter().filter(|(_, name)| !stems.contains(name)) {
        violations.push(Violation::new(KERNEL_LIST, *line, format!("`{name}` has no shaders/{name}.wgsl")));
    }
    violations
}

/// The runtime runs any kernel and knows none. Paths and `use` groups count, in comments too.
pub fn runtime_names_no_kernel(tree: &Tree) -> Vec<Violation> {
    let stems = stems(tree);
    let mut violations = Vec::new();
    for (path, text) in sources_under(tree, "crates/runtime/src/") {
        // Unit tests need some kernel to run.
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, name) in named_after(shipped, "kernels::") {
            if stems.contains(&name) {
                let line = text[..at].matches('\n').count() + 1;
                violations.push(Violation::new(path, line, format!("the runtime names the kernel `{name}`")));
            }
        }
    }
    violations
}

/// The model is trained on any device and names no type of one.
pub fn model_names_no_wgpu(tree: &Tree) -> Vec<Violation> {
    const PATH: &str = concat!("wgpu", "::");
    sources_under(tree, "crates/model/src/")
        .flat_map(|(path, text)| text.lines().enumerate().map(move |(index, line)| (path, index + 1, line)))
        .filter(|(_, _, line)| line.contains(PATH))
        .map(|(path, line, _)| {
            Violation::new(path, line, "the model names a wgpu type; that is the runtime's business")
        })
        .collect()
}

/// `listing` is what `cargo tree` prints of the kernels crate, one package a line.
pub fn kernels_without_wgpu(listing: &str) -> Vec<Violation> {
    let names = listing.lines().filter_map(|line| line.split_whitespace().next());
    let wgpu = names.filter(|name| *name == "wgpu" || name.starts_with("wgpu-")).min();
    let message = |name| format!("the kernels crate depends on {name}; it describes kernels and runs none on a GPU");
    wgpu.map(|name| Violation::new("crates/kernels/Cargo.toml", 1, message(name))).into_iter().collect()
}

/// The names of the kernels, which are the stems of the shader files.
fn stems(tree: &Tree) -> Vec<String> {
    let stem = |path: &str| path.strip_prefix("shaders/")?.strip_suffix(".wgsl").map(str::to_owned);
    tree.texts().filter_map(|(path, _)| stem(path)).collect()
}

/// The entries of the `kernels![…]` list, each with its line.
fn listed_kernels(text: &str) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate().skip_while(|(_, line)| !line.starts_with("kernels!")).skip(1);
    lines
        .take_while(|(_, line)| !line.starts_with([']', '}', ')']))
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
        .flat_map(|(number, line)| line.split(',').map(move |name| (number, name.trim().to_owned())))
        .filter(|(_, name)| !name.is_empty())
        .collect()
}

fn sources_under<'a>(tree: &'a Tree, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    tree.texts().filter(move |(path, _)| path.starts_with(folder) && path.ends_with(".rs"))
}

/// Every identifier right after `prefix`, and every one in a `{…}` group after it, with its byte offset.
fn named_after(text: &str, prefix: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        let start = at + prefix.len();
        let rest = &text[start..];
        let end = if rest.starts_with('{') { group_end(rest) } else { identifier_end(rest) };
        names.extend(identifiers(&rest[..end]).map(|(offset, name)| (start + offset, name.to_owned())));
    }
    names
}

/// The length of the group that `text` starts with, inner groups included.
fn group_end(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn identifier_end(text: &str) -> usize {
    text.find(|c: char| !is_identifier(c)).unwrap_or(text.len())
}

fn identifiers(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let offset = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    text.split(|c| !is_identifier(c)).filter(|word| !word.is_empty()).map(move |word| (offset(word), word))
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(violations: Vec<Violation>) -> Vec<String> {
        violations.iter().map(Violation::to_string).collect()
    }

    const LIST: &str = "macro_rules! kernels {\n    () => {};\n}\n\nkernels![\n    relu, // first\n    matmul,\n];\n";

    #[test]
    fn a_whole_kernel_passes() {
        let tree = Tree::of(&[
            (KERNEL_LIST, LIST),
            ("shaders/relu.wgsl", ""),
            ("shaders/matmul.wgsl", ""),
            ("crates/kernels/src/relu.rs", ""),
            ("crates/kernels/src/matmul.rs", ""),
        ]);
        assert_eq!(kernel_in_three_files(&tree), []);
    }

    #[test]
    fn each_missing_part_of_a_kernel_is_named() {
        let tree = Tree::of(&[(KERNEL_LIST, LIST), ("shaders/relu.wgsl", ""), ("shaders/add.wgsl", "")]);
        assert_eq!(
            shown(kernel_in_three_files(&tree)),
            [
                "shaders/add.wgsl:1: has no crates/kernels/src/add.rs to describe it",
                "shaders/add.wgsl:1: has no line in the kernels! list of crates/kernels/src/lib.rs",
                "shaders/relu.wgsl:1: has no crates/kernels/src/relu.rs to describe it",
                "crates/kernels/src/lib.rs:7: `matmul` has no shaders/matmul.wgsl",
            ]
        );
    }

    #[test]
    fn the_runtime_is_caught_naming_a_kernel() {
        let text = "use tilegrad_kernels::{\n    Kernel,\n    inner::{relu, Call},\n};\nlet x = tilegrad_kernels::add::call();\n";
        let tree = Tree::of(&[
            ("shaders/add.wgsl", ""),
            ("shaders/relu.wgsl", ""),
            ("crates/runtime/src/plan.rs", text),
            ("crates/model/src/op.rs", text),
        ]);
        assert_eq!(
            shown(runtime_names_no_kernel(&tree)),
            [
                "crates/runtime/src/plan.rs:3: the runtime names the kernel `relu`",
                "crates/runtime/src/plan.rs:5: the runtime names the kernel `add`",
            ]
        );
    }

    #[test]
    fn a_longer_name_is_another_name() {
        let text = "use tilegrad_kernels::additive;\nuse tilegrad_kernels::{Kernel, add_on};\nlet add = 1;\n";
        let tree = Tree::of(&[("shaders/add.wgsl", ""), ("crates/runtime/src/lib.rs", text)]);
        assert_eq!(runtime_names_no_kernel(&tree), []);
    }

    #[test]
    fn the_model_is_caught_naming_wgpu() {
        let text = format!("// wgpu is fine in prose\nfn f(x: {}::Buffer) {{}}\n", "wgpu");
        let tree = Tree::of(&[("crates/model/src/op.rs", &text), ("crates/runtime/src/lib.rs", &text)]);
        assert_eq!(
            shown(model_names_no_wgpu(&tree)),
            ["crates/model/src/op.rs:2: the model names a wgpu type; that is the runtime's business"]
        );
    }

    #[test]
    fn wgpu_is_found_among_the_dependencies() {
        assert_eq!(kernels_without_wgpu("tilegrad-kernels v0.1.0\nrayon v1.12.0\nbytemuck v1.25.0\n"), []);
        let found = shown(kernels_without_wgpu("tilegrad-kernels v0.1.0\nwgpu-types v30.0.1\nwgpu v30.0.1 (*)\n"));
        assert!(found[0].starts_with("crates/kernels/Cargo.toml:1: the kernels crate depends on wgpu;"), "{found:?}");
    }
}
