//! The rules about files that must agree with each other: code, install script, docs, regression tests.

use super::SourceFile;
use super::tokens::{self, Token};
use std::collections::BTreeSet;

type Names = BTreeSet<String>;

/// What the names of SQL functions begin with.
const PREFIXES: [&str; 3] = ["dag_", "attention_", "ruvector_"];

/// Complaints about the repository as a whole.
pub(crate) fn of_repository(files: &[SourceFile]) -> Vec<String> {
    let mut complaints = Vec::new();
    let settings = settings_of(&text_of(files, "src/settings/"));
    let documented = words(&text_of(files, "docs/settings.md"), "ruvector.", |_| true);
    complaints.extend(differences(
        &settings,
        "src/settings/mod.rs",
        &documented,
        "docs/settings.md",
    ));
    let script = text_of(files, "sql/ruvector_dag--");
    let functions = words(&script, "CREATE FUNCTION @extschema@.", |_| true);
    let page = text_of(files, "docs/sql.md");
    let documented = PREFIXES.map(|prefix| words(&page, prefix, |next| next == Some('(')));
    let documented = documented.into_iter().flatten().collect();
    complaints.extend(differences(
        &strip(functions),
        "the install script",
        &documented,
        "docs/sql.md",
    ));
    let glue = files
        .iter()
        .filter(|file| file.path.starts_with("src/") && file.path.ends_with(".rs"));
    let exported: Names = glue.flat_map(|file| externs_of(&file.text)).collect();
    let linked = PREFIXES.map(|prefix| words(&script, &format!("'{prefix}"), |next| next == Some('\'')));
    let linked: Names = linked
        .into_iter()
        .flatten()
        .map(|name| name.trim_start_matches('\'').to_owned())
        .filter(|name| name.ends_with("_wrapper"))
        .collect();
    complaints.extend(differences(&exported, "src/", &linked, "the install script"));
    complaints.extend(regress_tests(files));
    if text_of(files, "CHANGELOG.md").is_empty() {
        complaints.push("CHANGELOG.md: missing: say what changed".to_owned());
    }
    complaints
}

/// The text of the files whose path starts with `prefix`.
fn text_of(files: &[SourceFile], prefix: &str) -> String {
    files
        .iter()
        .filter(|file| file.path.starts_with(prefix))
        .map(|file| file.text.as_str())
        .collect()
}

fn differences(one: &Names, one_place: &str, other: &Names, other_place: &str) -> Vec<String> {
    let missing = one
        .difference(other)
        .map(|name| format!("{other_place}: missing: {name} of {one_place}"));
    let left_over = other
        .difference(one)
        .map(|name| format!("{other_place}: unknown: {name} is not in {one_place}"));
    missing.chain(left_over).collect()
}

/// Words of `text` that begin with `prefix` and are followed by what `is_end` accepts.
fn words(text: &str, prefix: &str, is_end: impl Fn(Option<char>) -> bool) -> Names {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let found = text.match_indices(prefix).filter_map(|(at, _)| {
        // A match in the middle of a longer word is another word.
        let begins = !text[..at].ends_with(is_part) || !prefix.starts_with(is_part);
        let rest = &text[at + prefix.len()..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        (begins && end > 0 && is_end(rest[end..].chars().next())).then(|| format!("{prefix}{}", &rest[..end]))
    });
    found.collect()
}

fn strip(functions: Names) -> Names {
    functions
        .iter()
        .filter_map(|name| Some(name.rsplit_once('.')?.1.to_owned()))
        .collect()
}

/// Settings defined in the source: its C strings that are one qualified name.
fn settings_of(source: &str) -> Names {
    let code = tokens::all(source).unwrap_or_default();
    let literals = code
        .iter()
        .filter_map(|token| token.text.strip_prefix("c\"")?.strip_suffix('"'));
    literals
        .filter(|text| text.starts_with("ruvector.") && !text.contains(' '))
        .map(str::to_owned)
        .collect()
}

/// The symbols of functions that pgrx exports.
fn externs_of(source: &str) -> Vec<String> {
    let code: Vec<Token> = tokens::outside_tests(source).unwrap_or_default();
    let attributes = code.windows(3).enumerate().filter(|(_, window)| {
        window[0].text == "#" && window[1].text == "(" && window[2].text == "pg_extern"
    });
    let names = attributes.filter_map(|(at, _)| {
        let after = code[at..].iter().position(|token| token.text == "fn")?;
        Some(format!("{}_wrapper", code.get(at + after + 1)?.text))
    });
    names.collect()
}

/// Each regression test has its expected output and a place in a schedule, and each place a test.
fn regress_tests(files: &[SourceFile]) -> Vec<String> {
    let named = |folder: &str, ending: &str| -> Names {
        files
            .iter()
            .filter_map(|file| file.path.strip_prefix(folder)?.strip_suffix(ending))
            .map(str::to_owned)
            .collect()
    };
    let tests = named("pg_regress/sql/", ".sql");
    let schedules = files
        .iter()
        .filter(|file| file.path.starts_with("pg_regress/") && file.path.ends_with("_schedule"));
    let lines = schedules
        .flat_map(|file| file.text.lines())
        .filter_map(|line| line.strip_prefix("test:"));
    let scheduled: Names = lines.flat_map(str::split_whitespace).map(str::to_owned).collect();
    let expected = named("pg_regress/expected/", ".out");
    let mut complaints = differences(&tests, "pg_regress/sql", &scheduled, "the regress schedules");
    complaints.extend(
        tests
            .difference(&expected)
            .map(|test| format!("pg_regress/expected: missing: {test}.out")),
    );
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        let changelog = [("CHANGELOG.md", "# Changes")];
        let all = files.iter().chain(&changelog);
        let files: Vec<SourceFile> = all
            .map(|(path, text)| SourceFile {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        of_repository(&files)
    }

    #[test]
    fn settings_and_their_page_must_agree() {
        let source = (
            "src/settings/mod.rs",
            "//! x\nconst A: T = (c\"ruvector.dag_mode\", c\"ruvector.x is no setting.\");",
        );
        assert!(complaints(&[source, ("docs/settings.md", "`ruvector.dag_mode`")]).is_empty());
        assert_eq!(complaints(&[source]).len(), 1);
        assert_eq!(
            complaints(&[source, ("docs/settings.md", "ruvector.dag_mode_old")]).len(),
            2
        );
    }

    #[test]
    fn functions_and_their_page_must_agree() {
        let script = (
            "sql/ruvector_dag--1.sql",
            "CREATE FUNCTION @extschema@.dag_status(OUT mode text)",
        );
        assert!(complaints(&[script, ("docs/sql.md", "`dag_status()` reads dag_corrections")]).is_empty());
        assert_eq!(complaints(&[script]).len(), 1);
        assert_eq!(
            complaints(&[script, ("docs/sql.md", "dag_status() dag_gone()")]).len(),
            1
        );
    }

    #[test]
    fn symbols_and_the_script_must_agree() {
        let glue = (
            "src/sql/a.rs",
            "//! x\n#[pg_extern(parallel_safe)]\npub(crate) fn dag_a<'a>(x: &'a str) {}",
        );
        let script = ("sql/ruvector_dag--1.sql", "AS 'MODULE_PATHNAME', 'dag_a_wrapper'");
        assert!(complaints(&[glue, script]).is_empty());
        assert_eq!(complaints(&[glue]).len(), 1);
        assert_eq!(complaints(&[script]).len(), 1);
    }

    #[test]
    fn regression_tests_and_schedules_must_agree() {
        let test = ("pg_regress/sql/a.sql", "SELECT 1;");
        let expected = ("pg_regress/expected/a.out", "");
        let schedule = ("pg_regress/regress_schedule", "# why\ntest: a\n");
        assert!(complaints(&[test, expected, schedule]).is_empty());
        assert_eq!(complaints(&[test]).len(), 2);
        assert_eq!(complaints(&[schedule]).len(), 1);
    }

    #[test]
    fn a_missing_changelog_is_found() {
        assert_eq!(of_repository(&[]).len(), 1);
    }
}
