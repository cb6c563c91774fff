//! The rule that what the extension may raise or log is explained in docs/troubleshooting.md.

use super::SourceFile;
use super::tokens::{self, Token};

const PAGE: &str = "docs/troubleshooting.md";
/// What begins the messages of ours: others are PostgreSQL's, raised in its place.
const OURS: &str = "ruvector_dag";

/// Complaints about SQLSTATEs and messages that the page lacks.
pub(super) fn of_repository(files: &[SourceFile]) -> Vec<String> {
    let page = files.iter().find(|file| file.path == PAGE);
    let page = page.map_or("", |file| file.text.as_str());
    let sources = files
        .iter()
        .filter(|file| file.path.starts_with("src/") && file.path.ends_with(".rs"));
    let raised = sources.flat_map(|file| {
        let code = tokens::outside_tests(&file.text).unwrap_or_default();
        let mut raised = sqlstates(&code);
        raised.extend(messages(&code));
        raised.into_iter().map(move |text| (&file.path, text))
    });
    raised
        .filter(|(_, text)| !page.contains(text.as_str()))
        .map(|(path, text)| format!("{PAGE}: missing: {text:?} of {path}"))
        .collect()
}

/// Byte strings of five digits and capital letters, in code that makes reports: other code only compares with them.
fn sqlstates(code: &[Token]) -> Vec<String> {
    if tokens::find(code, &["Report"]).is_empty() {
        return Vec::new();
    }
    let literals = code
        .iter()
        .filter_map(|token| token.text.strip_prefix("b\"")?.strip_suffix('"'));
    let is_sqlstate = |text: &&str| {
        let is_part = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase();
        text.len() == 5 && text.chars().all(is_part)
    };
    literals.filter(is_sqlstate).map(str::to_owned).collect()
}

/// What is logged, up to the first value or remark in it.
fn messages(code: &[Token]) -> Vec<String> {
    let levels = ["warning", "error", "log", "notice"];
    let calls = code.windows(7).filter(|call| {
        call[0].text == "pgrx" && levels.contains(&call[3].text.as_str()) && call[4].text == "!"
    });
    let literals = calls.filter_map(|call| call[6].text.strip_prefix('"'));
    let beginnings = literals.filter_map(|text| text.split(['{', '(', ';', '"']).next());
    // The page says once what several messages begin with.
    let short = beginnings.map(|text| text.trim_end_matches([' ', ':']));
    short
        .filter(|text| text.starts_with(OURS))
        .map(|text| {
            text.strip_prefix("ruvector_dag could")
                .map_or(text, |_| &text[OURS.len() + 1..])
                .to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(source: &str, page: &str) -> usize {
        let files = [("src/a.rs", source), (PAGE, page)].map(|(path, text)| SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        of_repository(&files).len()
    }

    #[test]
    fn sqlstates_that_are_not_explained_are_found() {
        let source = "fn f() -> Report { Report { sqlstate: sqlstate(b\"RV009\"), bytes: b\"short\" } }";
        assert_eq!(complaints(source, "| RV009 | what to do |"), 0);
        assert_eq!(complaints(source, ""), 1);
    }

    #[test]
    fn messages_that_are_not_explained_are_found_without_their_values() {
        let source = "fn f() { pgrx::warning!(\"ruvector_dag can't count: {error}; and so on\"); }";
        assert_eq!(complaints(source, "ruvector_dag can't count"), 0);
        assert_eq!(complaints(source, "ruvector_dag can't"), 1);
        let source = "fn f() { pgrx::error!(\"ruvector_dag could not count: {error}\"); }";
        assert_eq!(
            complaints(source, "ruvector_dag could not read; could not count"),
            0
        );
    }

    #[test]
    fn messages_of_postgresql_need_no_explanation() {
        assert_eq!(
            complaints(
                "fn f() { pgrx::error!(\"failed to build any {n}-way joins\"); }",
                ""
            ),
            0
        );
    }
}
