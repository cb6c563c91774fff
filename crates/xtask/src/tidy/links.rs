//! The rule that pages link to what is there, and that packages of the workspace take its lints.

use super::SourceFile;
use std::path::{Component, Path, PathBuf};

/// Complaints about links to files or headings that are not there, and about packages without the workspace's lints.
pub(super) fn of_repository(files: &[SourceFile]) -> Vec<String> {
    let mut complaints = Vec::new();
    for page in files.iter().filter(|file| file.path.ends_with(".md")) {
        let broken = links(&page.text).filter(|link| !leads_somewhere(files, page, link));
        complaints.extend(broken.map(|link| format!("{}: link: {link} leads nowhere", page.path)));
    }
    // What doesn't share the workspace's version is a workspace of its own.
    let members = files
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml") && file.text.contains("version.workspace = true"));
    let without = members.filter(|file| !file.text.contains("[lints]\nworkspace = true"));
    complaints.extend(without.map(|file| format!("{}: missing: the workspace's lints", file.path)));
    complaints
}

/// Targets of links within the repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.contains(' '))
}

fn leads_somewhere(files: &[SourceFile], page: &SourceFile, link: &str) -> bool {
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => PathBuf::from(&page.path),
        path => normal(&Path::new(&page.path).with_file_name("").join(path)),
    };
    // Pictures have no text; that they are there is seen.
    let Some(found) = files.iter().find(|file| Path::new(&file.path) == target) else {
        return testkit::build::root().join(&target).exists();
    };
    let mut headings = found
        .text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(anchor);
    heading.is_empty() || headings.any(|known| known == heading)
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = normal.pop(),
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

/// What a heading is linked by: small letters, digits and hyphens for spaces.
fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(files: &[(&str, &str)]) -> usize {
        let files: Vec<SourceFile> = files
            .iter()
            .map(|(path, text)| SourceFile {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        of_repository(&files).len()
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let page = (
            "docs/a.md",
            "# A page\n\n## What, how?\n[up](../b.md#b) [here](#what-how) [out](https://x.org/y)",
        );
        assert_eq!(complaints(&[page, ("b.md", "# B")]), 0);
        assert_eq!(complaints(&[page, ("b.md", "# C")]), 1);
        assert_eq!(complaints(&[page]), 1);
        assert_eq!(complaints(&[("docs/a.md", "# A\n[here](#b)")]), 1);
    }

    #[test]
    fn packages_without_the_lints_of_the_workspace_are_found() {
        let member = "[package]\nversion.workspace = true\n";
        assert_eq!(complaints(&[("a/Cargo.toml", member)]), 1);
        let complete = format!("{member}\n[lints]\nworkspace = true\n");
        assert_eq!(complaints(&[("a/Cargo.toml", &complete)]), 0);
        assert_eq!(complaints(&[("a/fuzz/Cargo.toml", "[workspace]\n")]), 0);
    }
}
