//! The rules about the version, which is written in several places, and about PGXN's META.json.

use super::SourceFile;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const SCRIPT: &str = "sql/ruvector_dag--";

/// Licences, and states of a release, that the PGXN Meta Spec 1.0.0 knows; of the licences those that are used.
const LICENCES: &[&str] = &["apache_2_0", "mit"];
const STATUS: &[&str] = &["stable", "testing", "unstable"];

/// Complaints about versions that differ, and about META.json.
pub(super) fn of_repository(files: &[SourceFile]) -> Vec<String> {
    let text = |path: &str| {
        let found = files.iter().find(|file| file.path == path);
        found.map_or("", |file| file.text.as_str())
    };
    let Some(version) = value_after(text("Cargo.toml"), "[workspace.package]\nversion = ") else {
        return vec!["Cargo.toml: missing: the version of the workspace".to_owned()];
    };
    let mut complaints = Vec::new();
    let mut agree = |place: &str, found: Option<&str>| {
        if found != Some(version) {
            let found = found.unwrap_or("no version");
            complaints.push(format!("{place}: version: {found}, Cargo.toml has {version}"));
        }
    };
    agree(
        "ruvector_dag.control",
        value_after(text("ruvector_dag.control"), "default_version = "),
    );
    let newest = text("CHANGELOG.md")
        .lines()
        .find_map(|line| line.strip_prefix("## "));
    agree("CHANGELOG.md", newest.and_then(|line| line.split(' ').next()));
    match serde_json::from_str::<Value>(text("META.json")) {
        Ok(meta) => {
            agree("META.json", meta["version"].as_str());
            agree(
                "META.json: provides",
                meta["provides"]["ruvector_dag"]["version"].as_str(),
            );
            complaints.extend(meta_faults(&meta, files));
        }
        Err(error) => complaints.push(format!("META.json: {error}")),
    }
    if !installable(files).contains(version) {
        complaints.push(format!("sql/: missing: no script leads to {version}"));
    }
    complaints
}

/// What stands in quotes after `key`.
fn value_after<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let rest = text.split_once(key)?.1;
    rest.split(['"', '\'']).nth(1)
}

/// Versions that CREATE EXTENSION finds a script for, or a path of scripts.
fn installable(files: &[SourceFile]) -> BTreeSet<String> {
    let scripts = files
        .iter()
        .filter_map(|file| file.path.strip_prefix(SCRIPT)?.strip_suffix(".sql"));
    let (steps, whole): (Vec<&str>, Vec<&str>) = scripts.partition(|name| name.contains("--"));
    let mut reached: BTreeSet<String> = whole.into_iter().map(str::to_owned).collect();
    // As often as there are steps: they may stand in any order.
    for _ in 0..steps.len() {
        for (from, to) in steps.iter().filter_map(|step| step.split_once("--")) {
            if reached.contains(from) {
                reached.insert(to.to_owned());
            }
        }
    }
    reached
}

/// What the PGXN Meta Spec 1.0.0 does not allow.
fn meta_faults(meta: &Value, files: &[SourceFile]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut demand = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("META.json: {what}"));
        }
    };
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    for key in ["name", "abstract", "maintainer", "version"] {
        demand(is_text(&meta[key]), &format!("{key} is a text"));
    }
    demand(
        is_term(meta["name"].as_str().unwrap_or_default()),
        "name is a term",
    );
    demand(
        is_semantic(meta["version"].as_str().unwrap_or_default()),
        "version is semantic",
    );
    demand(meta["meta-spec"]["version"] == "1.0.0", "meta-spec is 1.0.0");
    let known = |known: &[&str], value: &Value| value.as_str().is_some_and(|text| known.contains(&text));
    let licences = meta["license"].as_array().cloned().unwrap_or_default();
    demand(
        !licences.is_empty() && licences.iter().all(|licence| known(LICENCES, licence)),
        "license is a list of known ones",
    );
    demand(
        known(STATUS, &meta["release_status"]),
        "release_status is a known one",
    );
    let tags = meta["tags"].as_array().cloned().unwrap_or_default();
    demand(
        tags.iter().all(|tag| tag.as_str().is_some_and(is_term)),
        "tags are terms",
    );
    let has_file = |value: &Value| {
        value
            .as_str()
            .is_some_and(|path| files.iter().any(|file| file.path == path))
    };
    for (name, provided) in object(&meta["provides"]) {
        demand(
            has_file(&provided["file"]) && has_file(&provided["docfile"]),
            &format!("the files of {name} exist"),
        );
    }
    for requirements in object(&meta["prereqs"])
        .into_iter()
        .flat_map(|(_, phase)| object(&phase))
    {
        for (name, version) in object(&requirements.1) {
            let is_version = version == 0 || version.as_str().is_some_and(is_semantic);
            demand(is_version, &format!("the version of {name} is semantic"));
        }
    }
    faults
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Two characters or more, no control characters, slashes or backslashes.
fn is_term(text: &str) -> bool {
    text.len() > 1 && !text.contains(|c: char| c.is_control() || c == '/' || c == '\\')
}

/// Three numbers, as Semantic Versioning has them.
fn is_semantic(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that agree; each of `changed` replaces one.
    fn complaints(changed: &[(&str, &str)]) -> Vec<String> {
        let meta = r#"{"name": "ruvector_dag", "abstract": "a", "maintainer": "m", "version": "1.2.0", "license": ["mit"],
            "release_status": "stable", "meta-spec": {"version": "1.0.0"}, "tags": ["planner"],
            "prereqs": {"runtime": {"requires": {"PostgreSQL": "15.0.0"}}},
            "provides": {"ruvector_dag": {"version": "1.2.0", "file": "META.json", "docfile": "META.json"}}}"#;
        let good = [
            ("Cargo.toml", "[workspace.package]\nversion = \"1.2.0\"\n"),
            ("ruvector_dag.control", "default_version = '1.2.0'\n"),
            ("CHANGELOG.md", "# Changelog\n\n## 1.2.0 (unreleased)\n"),
            ("META.json", meta),
            ("sql/ruvector_dag--1.0.0.sql", ""),
            ("sql/ruvector_dag--1.1.0--1.2.0.sql", ""),
            ("sql/ruvector_dag--1.0.0--1.1.0.sql", ""),
        ];
        let replaced = good.map(|(path, text)| {
            let change = changed.iter().find(|(changed, _)| *changed == path);
            (path, change.map_or(text, |(_, text)| text))
        });
        let files: Vec<SourceFile> = replaced
            .into_iter()
            .filter(|(_, text)| *text != "(no such file)")
            .map(|(path, text)| SourceFile {
                path: path.to_owned(),
                text: text.to_owned(),
            })
            .collect();
        of_repository(&files)
    }

    #[test]
    fn versions_that_agree_are_fine() {
        assert_eq!(complaints(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_version_that_differs_is_found_wherever_it_is() {
        assert_eq!(
            complaints(&[("ruvector_dag.control", "default_version = '1.1.0'")]).len(),
            1
        );
        assert_eq!(complaints(&[("CHANGELOG.md", "## 1.1.0")]).len(), 1);
        assert_eq!(
            complaints(&[("Cargo.toml", "[workspace.package]\nversion = \"2.0.0\"")]).len(),
            5
        );
        assert_eq!(complaints(&[("Cargo.toml", "")]).len(), 1);
    }

    #[test]
    fn a_version_that_no_path_of_scripts_leads_to_is_found() {
        let step = "sql/ruvector_dag--1.0.0--1.1.0.sql";
        assert_eq!(complaints(&[(step, "(no such file)")]).len(), 1);
    }

    #[test]
    fn what_pgxn_would_refuse_is_found() {
        assert_eq!(complaints(&[("META.json", "{")]).len(), 1);
        let bad = r#"{"name": "a/b", "abstract": "", "maintainer": "m", "version": "1.2.0", "license": ["own"],
            "release_status": "done", "meta-spec": {"version": "2.0.0"}, "tags": ["x"],
            "prereqs": {"runtime": {"requires": {"PostgreSQL": "15"}}},
            "provides": {"ruvector_dag": {"version": "1.2.0", "file": "gone.sql", "docfile": "META.json"}}}"#;
        assert_eq!(complaints(&[("META.json", bad)]).len(), 8);
    }
}
