//! Relative links in Markdown point at files of the repository.

use super::Violation;
use super::tree::Tree;

/// Checks every `[text](target)`, image and `[label]: target` outside code.
pub fn point_at_files(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".md")) {
        for (line, target) in links(text) {
            let whole = resolve(path, target);
            if whole.as_deref().is_none_or(|whole| !tree.has(whole)) {
                violations.push(Violation::new(
                    path,
                    line,
                    format!("links to `{target}`, which is not in the repository"),
                ));
            }
        }
    }
    violations
}

/// The relative targets of a Markdown text, each with its line.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(targets(line).into_iter().filter(|target| is_relative(target)).map(|t| (index + 1, t)));
        }
    }
    found
}

/// The targets in one line. Inside a code span nothing is a link.
fn targets(line: &str) -> Vec<&str> {
    if let Some((label, target)) = line.split_once("]: ")
        && label.starts_with('[')
    {
        return target.split_whitespace().take(1).collect();
    }
    let closed_before = |at: usize| line[..at].matches('`').count().is_multiple_of(2);
    line.match_indices("](")
        .filter(|(at, _)| closed_before(*at))
        .filter_map(|(at, _)| line[at + 2..].split(')').next()?.split_whitespace().next())
        .collect()
}

/// Neither an address nor a place on the same page.
fn is_relative(target: &str) -> bool {
    !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
}

/// `target` as seen from the file `from`, as a path from the root; `None` if it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(&[(path, text), ("README.md", ""), ("docs/guide.md", ""), ("docs/deep/note.txt", "")]);
        point_at_files(&tree).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn links_to_files_and_folders_pass() {
        let text =
            "[a](../README.md#top) ![b](deep/note.txt \"title\") [c](deep/) [d](.) [e](guide.md)\n[f]: ./guide.md\n";
        assert_eq!(broken("docs/index.md", text), Vec::<String>::new());
    }

    #[test]
    fn addresses_anchors_and_code_are_no_links() {
        let text = "[a](https://example.org/x) [b](#here) [c](mailto:a@b.c) `[d](nowhere)`\n```\n[e](nowhere)\n```\n";
        assert_eq!(broken("docs/index.md", text), Vec::<String>::new());
    }

    #[test]
    fn a_broken_link_is_named_with_its_line() {
        assert_eq!(
            broken("docs/index.md", "fine\n[a](README.md) and [b](guide.md)\n"),
            ["docs/index.md:2: links to `README.md`, which is not in the repository"]
        );
        assert_eq!(broken("docs/index.md", "[x]: gone.md\n").len(), 1);
        assert_eq!(broken("index.md", "[out](../other/file)\n").len(), 1);
        assert_eq!(broken("other.txt", "[a](gone.md)\n"), Vec::<String>::new());
    }
}
