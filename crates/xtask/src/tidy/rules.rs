//! The rules about one file, and a sample that breaks each.

use super::tokens::{self, Token};
use super::{Complaint, SourceFile};

const MAX_BYTES: usize = 32 * 1024;
/// Where unsafe code may be: each of its blocks argued, which clippy checks.
const UNSAFE_ROOMS: &[&str] = &["src/pg/", "crates/ruvector-dag-simd/"];
const COMPAT: &str = "src/pg/compat.rs";
const ENGINE: &str = "crates/ruvector-dag/src/";
const DRAWERS: &[&str] = &["utils", "util", "helpers", "common", "manager", "misc", "types"];
const FOREIGN: &[&str] = &["/work/", "/root/", "/tmp/setup", "crates.io", "pypi.org", "npmjs"];

/// The complaints about one file.
pub(crate) fn of_file(file: &SourceFile) -> Vec<Complaint> {
    let mut complaints = foreign_places(file);
    if file.path.ends_with(".rs") {
        for rule in [
            unsafe_outside_its_room,
            majors_outside_compat,
            no_module_text,
            too_long,
            panics,
            drawers,
        ] {
            complaints.extend(rule(file));
        }
    }
    complaints
}

fn complain(line: usize, what: impl Into<String>) -> Complaint {
    Complaint {
        line,
        what: what.into(),
    }
}

fn complain_at(lines: Vec<usize>, what: &str) -> Vec<Complaint> {
    lines.into_iter().map(|line| complain(line, what)).collect()
}

/// Tokens of a file that must be Rust: what does not parse is left to the compiler, which says it better.
fn code(file: &SourceFile) -> Vec<Token> {
    tokens::all(&file.text).unwrap_or_default()
}

/// `unsafe` stays in its rooms.
fn unsafe_outside_its_room(file: &SourceFile) -> Vec<Complaint> {
    if UNSAFE_ROOMS.iter().any(|room| file.path.starts_with(room)) {
        return Vec::new();
    }
    complain_at(
        tokens::find(&code(file), &["unsafe"]),
        "unsafe: it belongs to src/pg/ or crates/ruvector-dag-simd/",
    )
}

/// What differs between majors sits in one file.
fn majors_outside_compat(file: &SourceFile) -> Vec<Complaint> {
    if file.path == COMPAT {
        return Vec::new();
    }
    let majors = (14..=18).map(|major| format!("\"pg{major}\""));
    majors
        .flat_map(|major| tokens::find(&code(file), &["feature", "=", &major]))
        .map(|line| {
            complain(
                line,
                format!("major: cfg(feature = \"pgNN\") belongs to {COMPAT}"),
            )
        })
        .collect()
}

/// Each file says what it is for.
fn no_module_text(file: &SourceFile) -> Vec<Complaint> {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![complain(1, "duty: a file starts with //! and what it is for")]
}

/// Long files hide things.
fn too_long(file: &SourceFile) -> Vec<Complaint> {
    let bytes = file.text.len();
    if bytes <= MAX_BYTES {
        return Vec::new();
    }
    vec![complain(1, format!("size: {bytes} bytes, more than {MAX_BYTES}"))]
}

/// The engine returns errors.
fn panics(file: &SourceFile) -> Vec<Complaint> {
    if !file.path.starts_with(ENGINE) {
        return Vec::new();
    }
    let code = tokens::outside_tests(&file.text).unwrap_or_default();
    let calls = [".", "unwrap", "("];
    let expects = [".", "expect", "("];
    let macros = ["panic", "todo", "unimplemented", "unreachable"];
    let mut lines: Vec<usize> = [calls, expects]
        .iter()
        .flat_map(|call| tokens::find(&code, call))
        .collect();
    lines.extend(macros.iter().flat_map(|name| tokens::find(&code, &[name, "!"])));
    lines.sort_unstable();
    complain_at(lines, "panic: the engine returns errors")
}

/// A file or folder is called after what it holds.
fn drawers(file: &SourceFile) -> Vec<Complaint> {
    let parts = file.path.trim_end_matches(".rs").split('/');
    let drawer = parts
        .filter(|part| DRAWERS.contains(part))
        .map(|part| complain(1, format!("name: {part} says nothing")));
    drawer.collect()
}

/// Nothing of the machine it was made on, and no registry host.
fn foreign_places(file: &SourceFile) -> Vec<Complaint> {
    // The lock file names its registry, and this file what it looks for.
    if file.path == "Cargo.lock" || file.path.ends_with("tidy/rules.rs") {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    let found =
        lines.filter_map(|(at, line)| Some((at, FOREIGN.iter().find(|place| line.contains(**place))?)));
    found
        .map(|(at, place)| complain(at + 1, format!("place: {place} does not belong here")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> Vec<usize> {
        let file = SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        of_file(&file)
            .into_iter()
            .map(|complaint| complaint.line)
            .collect()
    }

    #[test]
    fn unsafe_is_found_outside_its_rooms_only() {
        let text = "//! x\nfn f() { let url = \"a//b\"; unsafe { g() } }";
        assert_eq!(broken("src/hooks/planner.rs", text), [2]);
        assert!(broken("src/pg/list.rs", text).is_empty());
        assert!(broken("crates/ruvector-dag-simd/src/dot.rs", text).is_empty());
        let named =
            "//! unsafe\n#![deny(unsafe_code)] // unsafe\n/* unsafe\n unsafe */ const A: &str = \"unsafe\";";
        assert!(broken("src/sql/mod.rs", named).is_empty());
    }

    #[test]
    fn majors_are_found_outside_compat_only() {
        let text = "//! x\n#[cfg(any(\n    feature = \"pg15\",\n    feature = \"pg16\"\n))]\nfn f() {}";
        assert_eq!(broken("src/pg/list.rs", text), [3, 4]);
        assert!(broken(COMPAT, text).is_empty());
        assert!(broken("src/pg/list.rs", "//! feature = \"pg15\"\n").is_empty());
    }

    #[test]
    fn a_file_without_its_duty_is_found() {
        assert_eq!(broken("src/lib.rs", "fn f() {}"), [1]);
        assert_eq!(broken("tests/tests/crash.rs", "// a comment\nfn f() {}"), [1]);
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(
            broken("src/lib.rs", &format!("//! {}", "x".repeat(MAX_BYTES))),
            [1]
        );
        assert!(broken("src/lib.rs", &format!("//! {}", "x".repeat(MAX_BYTES - 4))).is_empty());
    }

    #[test]
    fn panics_are_found_in_the_engine_outside_tests() {
        let text = "//! x\nfn f() { g().unwrap();\n g().expect(\"\");\n panic!();\n todo!() }";
        assert_eq!(broken("crates/ruvector-dag/src/a.rs", text), [2, 3, 4, 5]);
        assert!(broken("crates/ruvector-dag/tests/a.rs", text).is_empty());
        let tested =
            "//! x.unwrap()\n#[cfg(test)]\nmod t { fn f() { g().unwrap(); } }\nfn f() { g().unwrap_or(1); }";
        assert!(broken("crates/ruvector-dag/src/a.rs", tested).is_empty());
        let after = format!("{tested}\nfn h() {{ g().unwrap() }}");
        assert_eq!(broken("crates/ruvector-dag/src/a.rs", &after), [5]);
    }

    #[test]
    fn drawers_are_found() {
        assert_eq!(broken("src/utils.rs", "//! x"), [1]);
        assert_eq!(broken("src/helpers/mod.rs", "//! x"), [1]);
    }

    #[test]
    fn foreign_places_are_found() {
        assert_eq!(broken("README.md", "\nsee /root/notes"), [2]);
        assert_eq!(broken("docs/sql.md", "https://crates.io/x"), [1]);
        assert!(
            broken(
                "Cargo.lock",
                "registry+https://github.com/rust-lang/crates.io-index"
            )
            .is_empty()
        );
    }
}
