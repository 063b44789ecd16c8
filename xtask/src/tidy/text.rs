//! Rules that read one line, or one file, at a time.

use super::Violation;
use super::tree::Tree;

/// The most lines of a source file, in lines.
const LONGEST_SOURCE: usize = 400;
/// The most lines of ARCHITECTURE.md: a newcomer reads it in one sitting.
const LONGEST_ARCHITECTURE: usize = 200;

// The words below are spelled in two halves, so that this file passes its own rules.
const LOOSE_ENDS: &[&str] =
    &[concat!("to", "do!"), concat!("un", "implemented!"), concat!("#[", "ignore"), concat!("FIX", "ME")];
const MACHINE_PATHS: &[&str] = &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];
const REGISTRY_HOSTS: &[&str] = &[
    concat!("crates.", "io/api"),
    concat!("static.", "crates.io"),
    concat!("pypi.", "org"),
    concat!("registry.", "npmjs.org"),
    concat!("deb.", "debian.org"),
];

/// No source file is longer than a reader can hold.
pub fn file_length(tree: &Tree) -> Vec<Violation> {
    sources(tree).filter_map(|(path, text)| too_long(path, text, LONGEST_SOURCE)).collect()
}

/// The overview stays one.
pub fn architecture_length(tree: &Tree) -> Vec<Violation> {
    const PATH: &str = "ARCHITECTURE.md";
    tree.text(PATH).and_then(|text| too_long(PATH, text, LONGEST_ARCHITECTURE)).into_iter().collect()
}

/// Nothing is left open in the sources.
pub fn loose_ends(tree: &Tree) -> Vec<Violation> {
    matches(sources(tree), |line| {
        LOOSE_ENDS.iter().find(|word| line.contains(**word)).map(|word| format!("`{word}` leaves something open"))
    })
}

/// No path of one developer's machine.
pub fn machine_paths(tree: &Tree) -> Vec<Violation> {
    matches(own_texts(tree), |line| {
        let path = MACHINE_PATHS.iter().find(|path| has_top_level(line, path))?;
        Some(format!("`{path}…` is a path of one machine; use a relative or a temporary one"))
    })
}

/// No address of a package registry: packages come through their ordinary clients.
pub fn registry_hosts(tree: &Tree) -> Vec<Violation> {
    matches(own_texts(tree), |line| {
        let host = REGISTRY_HOSTS.iter().find(|host| line.contains(**host))?;
        Some(format!("names the package registry `{host}`; leave it to the package manager"))
    })
}

fn sources(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.texts().filter(|(path, _)| path.ends_with(".rs") || path.ends_with(".wgsl"))
}

/// All text that people of this project wrote; the lock file is cargo's.
fn own_texts(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.texts().filter(|(path, _)| *path != "Cargo.lock")
}

fn too_long(path: &str, text: &str, most: usize) -> Option<Violation> {
    let lines = text.lines().count();
    (lines > most).then(|| Violation::new(path, most + 1, format!("{lines} lines, at most {most}: split the file")))
}

fn matches<'a>(
    texts: impl Iterator<Item = (&'a str, &'a str)>,
    complaint: impl Fn(&str) -> Option<String>,
) -> Vec<Violation> {
    texts
        .flat_map(|(path, text)| text.lines().enumerate().map(move |(index, line)| (path, index + 1, line)))
        .filter_map(|(path, number, line)| Some(Violation::new(path, number, complaint(line)?)))
        .collect()
}

/// Whether `path` starts a path in `line`: not after a name (`$OUT/…`, `example.org/…`) nor after `..`, `~` or `}`.
fn has_top_level(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-~})*".contains(c)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> String {
        "x\n".repeat(count)
    }

    fn found(violations: &[Violation]) -> Vec<String> {
        violations.iter().map(|v| format!("{}:{}", v.path, v.line)).collect()
    }

    #[test]
    fn only_sources_have_the_short_limit() {
        let (fits, long) = (lines(400), lines(401));
        let tree = Tree::of(&[("a.rs", &fits), ("b.rs", &long), ("c.wgsl", &long), ("d.json", &long)]);
        let violations = file_length(&tree);
        assert_eq!(found(&violations), ["b.rs:401", "c.wgsl:401"]);
        assert_eq!(violations[0].to_string(), "b.rs:401: 401 lines, at most 400: split the file");
    }

    #[test]
    fn the_overview_has_its_own_limit() {
        let (fits, long) = (lines(200), lines(201));
        assert_eq!(architecture_length(&Tree::of(&[("ARCHITECTURE.md", &fits), ("README.md", &long)])), []);
        assert_eq!(found(&architecture_length(&Tree::of(&[("ARCHITECTURE.md", &long)]))), ["ARCHITECTURE.md:201"]);
        assert_eq!(architecture_length(&Tree::of(&[])), []);
    }

    #[test]
    fn every_loose_end_is_found_in_sources_alone() {
        for word in LOOSE_ENDS {
            let text = format!("fn a() {{}}\n    {word}\n");
            let tree = Tree::of(&[("a.rs", &text), ("b.wgsl", &text), ("c.md", &text)]);
            assert_eq!(found(&loose_ends(&tree)), ["a.rs:2", "b.wgsl:2"], "{word}");
        }
    }

    #[test]
    fn every_registry_is_found_outside_the_lock_file() {
        for host in REGISTRY_HOSTS {
            let text = format!("a\nb\nhttps://{host}/x\n");
            let tree = Tree::of(&[("Cargo.lock", &text), ("README.md", &text)]);
            assert_eq!(found(&registry_hosts(&tree)), ["README.md:3"], "{host}");
        }
        assert_eq!(registry_hosts(&Tree::of(&[("a.md", "https://crates.io/crates/wgpu")])), []);
    }

    #[test]
    fn a_machines_path_is_one_that_starts_at_the_root() {
        for path in MACHINE_PATHS {
            for found in ["", "`", "\"", " ", "=", "(", "file://"] {
                assert!(has_top_level(&format!("{found}{path}x"), path), "{found}{path}");
            }
            for other in ["target", "https://example.org", "..", "$OUT", "${OUT}", "~", "$(pwd)"] {
                assert!(!has_top_level(&format!("{other}{path}x"), path), "{other}{path}");
            }
            let text = format!("ok\nread {path}me/x\n");
            assert_eq!(found(&machine_paths(&Tree::of(&[("notes.toml", &text)]))), ["notes.toml:2"]);
        }
    }
}
