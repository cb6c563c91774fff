//! The template of a statement: its tables and the clauses that join them, without constants.

use std::collections::BTreeMap;

/// What an alias is called: its table.
type Aliases = BTreeMap<String, String>;

/// Tables in order of name, and the equalities of columns of two of them, each named by table instead of alias.
pub(crate) fn template_of(sql: &str) -> String {
    let words = words(sql);
    let aliases = aliases(&words);
    let mut tables: Vec<&str> = aliases.values().map(String::as_str).collect();
    tables.sort_unstable();
    let mut joins: Vec<String> = words
        .windows(3)
        .filter_map(|three| join_clause(three, &aliases))
        .collect();
    joins.sort_unstable();
    joins.dedup();
    format!("{} | {}", tables.join(" "), joins.join(" "))
}

/// Names (with their points), numbers and operators, in lower case; strings and parentheses are left out.
fn words(sql: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = sql.chars().peekable();
    while let Some(first) = rest.next() {
        if first == '\'' {
            rest.by_ref().find(|&next| next == '\'');
            words.push("?".to_owned());
        } else if is_of_name(first) {
            let mut word = first.to_lowercase().to_string();
            while let Some(next) = rest.next_if(|&next| is_of_name(next)) {
                word.extend(next.to_lowercase());
            }
            words.push(word);
        } else if "=<>,(".contains(first) {
            words.push(first.to_string());
        }
    }
    words
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '.'
}

/// Tables follow FROM, JOIN, or a comma within FROM; an alias follows its table, with or without AS.
fn aliases(words: &[String]) -> Aliases {
    const ENDS: &[&str] = &["where", "group", "order", "limit", "on", "having"];
    let mut aliases = Aliases::new();
    let mut is_in_from = false;
    for (at, word) in words.iter().enumerate() {
        if ENDS.contains(&word.as_str()) || word == "select" {
            is_in_from = false;
        }
        let starts = word == "from" || word == "join" || (word == "," && is_in_from);
        is_in_from |= word == "from" || word == "join";
        let Some(table) = words.get(at + 1).filter(|next| starts && *next != "(") else {
            continue;
        };
        let mut after = words.iter().skip(at + 2).skip_while(|next| *next == "as");
        let keywords = ["join", "left", "inner", "cross", "full", "right"];
        let alias = after.next().filter(|next| {
            !ENDS.contains(&next.as_str())
                && !keywords.contains(&next.as_str())
                && next.chars().all(is_of_name)
        });
        aliases.insert(alias.unwrap_or(table).clone(), table.clone());
    }
    aliases
}

fn join_clause(three: &[String], aliases: &Aliases) -> Option<String> {
    let [left, operator, right] = three else {
        return None;
    };
    if operator != "=" {
        return None;
    }
    let mut sides = [left, right].map(|side| {
        let (alias, column) = side.split_once('.')?;
        Some(format!("{}.{column}", aliases.get(alias)?))
    });
    sides.sort_unstable();
    let [Some(left), Some(right)] = sides else {
        return None;
    };
    Some(format!("{left}={right}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_and_aliases_make_no_template() {
        let one = "SELECT COUNT(*) FROM badges as b, users as u WHERE b.UserId= u.Id AND u.UpVotes>=0;";
        let other = "SELECT count(*) FROM users x, badges y WHERE x.id = y.userid AND y.date <= '2014-01-01, x'::timestamp";
        assert_eq!(template_of(one), "badges users | badges.userid=users.id");
        assert_eq!(template_of(one), template_of(other));
    }

    #[test]
    fn other_joins_make_another_template() {
        let by_user = "SELECT 1 FROM comments c JOIN posts p ON c.userid = p.owneruserid WHERE p.score = 1";
        let by_post = "SELECT 1 FROM comments c JOIN posts p ON c.postid = p.id WHERE p.score = 1";
        assert_ne!(template_of(by_user), template_of(by_post));
    }

    #[test]
    fn sub_selects_count() {
        let sql = "SELECT count(*) FROM orders o WHERE NOT EXISTS (SELECT FROM returns r WHERE r.order_id = o.id) \
                   AND o.customer_id IN (SELECT id FROM customers WHERE country = 3)";
        assert_eq!(
            template_of(sql),
            "customers orders returns | orders.id=returns.order_id"
        );
    }
}
