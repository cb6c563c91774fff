//! The rules, and a sample that breaks each.

use super::{Complaint, SourceFile};

const MAX_BYTES: usize = 32 * 1024;
const DRAWERS: &[&str] = &["utils", "util", "helpers", "common", "manager", "misc", "types"];

/// The complaints about one file.
pub(crate) fn of_file(file: &SourceFile) -> Vec<Complaint> {
    let mut complaints = machine_paths(file);
    if file.path.ends_with(".rs") {
        for rule in [unsafe_outside_its_room, majors_outside_compat, no_module_text, too_long, panics, drawers] {
            complaints.extend(rule(file));
        }
    }
    complaints
}

fn complain(line: usize, what: impl Into<String>) -> Complaint {
    Complaint { line, what: what.into() }
}

/// Lines with their numbers, comments and string contents left out.
fn code(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    text.lines().enumerate().map(|(at, line)| {
        let line = line.split("//").next().unwrap_or("");
        let outside: String = line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
        (at + 1, outside)
    })
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|found| found == word)
}

/// `unsafe` stays in its room; naming the lint, or marking an exported symbol, is not using it.
fn unsafe_outside_its_room(file: &SourceFile) -> Vec<Complaint> {
    if file.path.starts_with("src/pg/") {
        return Vec::new();
    }
    let used = code(&file.text).filter(|(_, line)| has_word(line, "unsafe"));
    used.map(|(line, _)| complain(line, "unsafe belongs to src/pg/")).collect()
}

/// What differs between majors sits in one file.
fn majors_outside_compat(file: &SourceFile) -> Vec<Complaint> {
    if file.path == "src/pg/compat.rs" || file.path.starts_with("crates/xtask/") {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    let used = lines.filter(|(_, line)| line.contains("cfg") && line.contains("feature = \"pg1"));
    used.map(|(at, _)| complain(at + 1, "cfg(feature = \"pgNN\") belongs to src/pg/compat.rs")).collect()
}

/// Each file says what it is for.
fn no_module_text(file: &SourceFile) -> Vec<Complaint> {
    if file.text.starts_with("//!") { Vec::new() } else { vec![complain(1, "a file starts with //! and its duty")] }
}

/// Long files hide things.
fn too_long(file: &SourceFile) -> Vec<Complaint> {
    let bytes = file.text.len();
    if bytes <= MAX_BYTES { Vec::new() } else { vec![complain(0, format!("{bytes} bytes, more than {MAX_BYTES}"))] }
}

/// The engine returns errors.
fn panics(file: &SourceFile) -> Vec<Complaint> {
    if !file.path.starts_with("crates/ruvector-dag/src/") {
        return Vec::new();
    }
    let tested = file.text.find("#[cfg(test)]").unwrap_or(file.text.len());
    code(&file.text[..tested])
        .filter(|(_, line)| [".unwrap()", ".expect(", "panic!("].iter().any(|bad| line.contains(bad)))
        .map(|(line, _)| complain(line, "the engine does not panic"))
        .collect()
}

/// A file is called after what it holds.
fn drawers(file: &SourceFile) -> Vec<Complaint> {
    let stem = file.path.rsplit('/').next().unwrap_or("").trim_end_matches(".rs");
    if DRAWERS.contains(&stem) { vec![complain(0, format!("{stem} says nothing of its content"))] } else { Vec::new() }
}

/// Nothing of the machine it was made on, and no registry host.
fn machine_paths(file: &SourceFile) -> Vec<Complaint> {
    if file.path == "Cargo.lock" || file.path.starts_with("crates/xtask/src/tidy/") {
        return Vec::new();
    }
    let bad = ["/work/", "/root/", "crates.io", "pypi.org", "npmjs"];
    let lines = file.text.lines().enumerate();
    lines
        .filter_map(|(at, line)| {
            let found = bad.iter().find(|bad| line.contains(**bad))?;
            Some(complain(at + 1, format!("{found} does not belong here")))
        })
        .collect()
}

/// Complaints about files that must agree with each other.
pub(crate) fn of_repository(files: &[SourceFile]) -> Vec<String> {
    let find = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let mut complaints = Vec::new();
    let settings = settings_of(find("src/settings.rs"));
    let documented = find("docs/settings.md");
    complaints.extend(missing(&settings, documented, "docs/settings.md"));
    let scripts = files.iter().filter(|file| file.path.starts_with("sql/ruvector_dag--"));
    let script: String = scripts.map(|file| file.text.as_str()).collect();
    complaints.extend(missing(&functions_of(&script), find("docs/sql.md"), "docs/sql.md"));
    let glue = files.iter().filter(|file| file.path.starts_with("src/sql/"));
    let declared: Vec<String> = glue.flat_map(|file| externs_of(&file.text)).collect();
    complaints.extend(missing(&declared, &script, "the install script"));
    complaints.extend(regress_tests(files));
    complaints
}

fn missing(names: &[String], text: &str, place: &str) -> Vec<String> {
    names.iter().filter(|name| !text.contains(name.as_str())).map(|name| format!("{name} is not in {place}")).collect()
}

/// Settings defined in the source.
fn settings_of(source: &str) -> Vec<String> {
    let names = source.split("c\"ruvector.").skip(1).filter_map(|rest| rest.split('"').next());
    names.filter(|name| !name.is_empty() && !name.contains(' ')).map(|name| format!("ruvector.{name}")).collect()
}

/// Functions created by a script.
fn functions_of(script: &str) -> Vec<String> {
    let names = script.split("CREATE FUNCTION @extschema@.").skip(1);
    names.filter_map(|rest| rest.split('(').next()).map(str::to_owned).collect()
}

/// The symbols of functions that pgrx exports.
fn externs_of(source: &str) -> Vec<String> {
    let names = source.split("#[pg_extern]\nfn ").skip(1);
    names.filter_map(|rest| rest.split('(').next()).map(|name| format!("'{name}_wrapper'")).collect()
}

/// Each regression test has its expected output and a place in a schedule.
fn regress_tests(files: &[SourceFile]) -> Vec<String> {
    let schedules = files.iter().filter(|file| file.path.starts_with("pg_regress/") && file.path.ends_with("_schedule"));
    let scheduled: String = schedules.map(|file| file.text.as_str()).collect();
    let tests = files.iter().filter_map(|file| file.path.strip_prefix("pg_regress/sql/")?.strip_suffix(".sql"));
    tests
        .flat_map(|test| {
            let expected = format!("pg_regress/expected/{test}.out");
            let has_expected = files.iter().any(|file| file.path == expected);
            let is_scheduled = scheduled.split_whitespace().any(|name| name == test);
            [
                (!has_expected).then(|| format!("pg_regress test {test} has no expected output")),
                (!is_scheduled).then(|| format!("pg_regress test {test} is in no schedule")),
            ]
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    fn is_broken(path: &str, text: &str) -> bool {
        !of_file(&file(path, text)).is_empty()
    }

    #[test]
    fn unsafe_is_found_outside_its_room_only() {
        assert!(is_broken("src/hooks/planner.rs", "//! x\nfn f() { unsafe { g() } }"));
        assert!(!is_broken("src/pg/list.rs", "//! x\nfn f() { unsafe { g() } }"));
        assert!(!is_broken("src/sql/mod.rs", "//! unsafe\n#![allow(unsafe_code)] // unsafe \n const A: &str = \"unsafe\";"));
    }

    #[test]
    fn majors_are_found_outside_compat_only() {
        let text = "//! x\n#[cfg(feature = \"pg15\")]\nfn f() {}";
        assert!(is_broken("src/pg/list.rs", text));
        assert!(!is_broken("src/pg/compat.rs", text));
    }

    #[test]
    fn a_file_without_its_duty_is_found() {
        assert!(is_broken("src/lib.rs", "fn f() {}"));
    }

    #[test]
    fn a_long_file_is_found() {
        assert!(is_broken("src/lib.rs", &format!("//! {}", "x".repeat(MAX_BYTES))));
    }

    #[test]
    fn panics_are_found_in_the_engine_outside_tests() {
        assert!(is_broken("crates/ruvector-dag/src/a.rs", "//! x\nfn f() { g().unwrap(); }"));
        assert!(!is_broken("crates/ruvector-dag/src/a.rs", "//! x\n#[cfg(test)]\nmod t { fn f() { g().unwrap(); } }"));
    }

    #[test]
    fn drawers_are_found() {
        assert!(is_broken("src/utils.rs", "//! x"));
    }

    #[test]
    fn machine_paths_are_found() {
        assert!(is_broken("README.md", "see /root/notes"));
    }

    #[test]
    fn settings_functions_and_symbols_must_agree() {
        let files = [
            file("src/settings.rs", "c\"ruvector.dag_mode\""),
            file("sql/ruvector_dag--1.sql", "CREATE FUNCTION @extschema@.dag_status()"),
            file("src/sql/a.rs", "#[pg_extern]\nfn dag_forgotten() {}"),
            file("pg_regress/sql/alone.sql", ""),
        ];
        assert_eq!(of_repository(&files).len(), 5);
    }
}
