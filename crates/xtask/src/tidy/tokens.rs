//! Rust files as their compiler reads them: tokens with lines, so that comments and strings can't be mistaken for code.

use proc_macro2::{TokenStream, TokenTree};

/// A token: an identifier, a literal or a punctuation mark, with its line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// All tokens of a file in order, brackets included; none if it is not Rust.
pub(crate) fn all(source: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    flatten(source.parse().ok()?, &mut tokens, false);
    Some(tokens)
}

/// As [`all`], without the items that are compiled for tests only.
pub(crate) fn outside_tests(source: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    flatten(source.parse().ok()?, &mut tokens, true);
    Some(tokens)
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>, skip_tests: bool) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        if skip_tests && is_hash(&tree) && trees.peek().is_some_and(is_cfg_test) {
            // The item ends with its body, or with a semicolon if it has none.
            let _item = trees.by_ref().find(ends_item);
            continue;
        }
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                tokens.push(Token {
                    line,
                    text: "(".to_owned(),
                });
                flatten(group.stream(), tokens, skip_tests);
                tokens.push(Token {
                    line: group.span_close().start().line,
                    text: ")".to_owned(),
                });
            }
            other => tokens.push(Token {
                line,
                text: other.to_string(),
            }),
        }
    }
}

fn is_hash(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Punct(mark) if mark.as_char() == '#')
}

fn is_cfg_test(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Group(group) if group.stream().to_string().replace(' ', "") == "cfg(test)")
}

fn ends_item(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    }
}

/// Where `pattern` begins in `tokens`; brackets of all kinds are written `(` and `)`.
pub(crate) fn find(tokens: &[Token], pattern: &[&str]) -> Vec<usize> {
    let matches = |window: &&[Token]| {
        window
            .iter()
            .zip(pattern)
            .all(|(token, wanted)| token.text == *wanted)
    };
    tokens
        .windows(pattern.len())
        .filter(matches)
        .map(|window| window[0].line)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &str, word: &str) -> Vec<usize> {
        find(&all(source).unwrap(), &[word])
    }

    #[test]
    fn words_in_comments_and_strings_are_not_code() {
        let source = "/* bad\nbad */ const A: &str = \"http://bad\"; fn bad() {} // bad\nconst B: &str = r#\"\nbad \"#;";
        assert_eq!(lines(source, "bad"), [2]);
    }

    #[test]
    fn code_after_a_test_item_is_seen() {
        let source = "#[cfg(test)]\nuse bad;\n#[cfg(test)]\nmod tests { fn bad() {} }\nfn f() { bad() }";
        assert_eq!(find(&outside_tests(source).unwrap(), &["bad"]), [5]);
    }

    #[test]
    fn what_is_not_rust_has_no_tokens() {
        assert_eq!(all("fn f( {"), None);
    }
}
