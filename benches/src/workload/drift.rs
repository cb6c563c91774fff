//! Data that moves: every third row of every table is replaced. A row gets the columns of its mirror image, the first
//! becomes as the last, and what it refers to is mirrored too, so that who was rare is frequent and old is new.

/// A table, and what of it moves.
pub(super) struct Moved {
    pub(super) table: &'static str,
    pub(super) attributes: &'static [&'static str],
    /// Column and the table it refers to.
    pub(super) keys: &'static [(&'static str, &'static str)],
}

/// The tables of STATS.
pub(super) const STATS: &[Moved] = &[
    Moved {
        table: "users",
        attributes: &["reputation", "creationdate", "views", "upvotes", "downvotes"],
        keys: &[],
    },
    Moved {
        table: "posts",
        attributes: &[
            "posttypeid",
            "creationdate",
            "score",
            "viewcount",
            "answercount",
            "commentcount",
            "favoritecount",
        ],
        keys: &[("owneruserid", "users"), ("lasteditoruserid", "users")],
    },
    Moved {
        table: "postlinks",
        attributes: &["creationdate", "linktypeid"],
        keys: &[("postid", "posts"), ("relatedpostid", "posts")],
    },
    Moved {
        table: "posthistory",
        attributes: &["posthistorytypeid", "creationdate"],
        keys: &[("postid", "posts"), ("userid", "users")],
    },
    Moved {
        table: "comments",
        attributes: &["score", "creationdate"],
        keys: &[("postid", "posts"), ("userid", "users")],
    },
    Moved {
        table: "votes",
        attributes: &["votetypeid", "creationdate", "bountyamount"],
        keys: &[("postid", "posts"), ("userid", "users")],
    },
    Moved {
        table: "badges",
        attributes: &["date"],
        keys: &[("userid", "users")],
    },
    Moved {
        table: "tags",
        attributes: &["count"],
        keys: &[("excerptpostid", "posts")],
    },
];

/// The commands; the last ones are what autovacuum would do after such a change.
pub(super) fn commands(tables: &[Moved]) -> Vec<String> {
    let mut commands = Vec::new();
    let mut referred: Vec<&str> = tables
        .iter()
        .flat_map(|moved| moved.keys.iter().map(|(_, to)| *to))
        .collect();
    referred.sort_unstable();
    referred.dedup();
    for table in referred {
        commands.push(mirror(&format!("all_{table}"), table, "true"));
    }
    for moved in tables {
        commands.push(mirror("thirds", moved.table, "id % 3 = 0"));
        commands.push(replace(moved));
        commands.push("DROP TABLE thirds".to_owned());
    }
    commands.extend(
        tables
            .iter()
            .map(|moved| format!("VACUUM ANALYZE {}", moved.table)),
    );
    commands
}

/// A table that pairs the first with the last, the second with the last but one.
fn mirror(name: &str, table: &str, condition: &str) -> String {
    let numbered = |direction: &str| {
        format!(
            "(SELECT id, row_number() OVER (ORDER BY id {direction}) AS place FROM {table} WHERE {condition})"
        )
    };
    format!(
        "CREATE TEMP TABLE {name} AS SELECT a.id, b.id AS image FROM {} AS a JOIN {} AS b USING (place); ANALYZE {name}",
        numbered("ASC"),
        numbered("DESC")
    )
}

fn replace(moved: &Moved) -> String {
    let mut columns: Vec<String> = moved
        .attributes
        .iter()
        .map(|column| format!("{column} = s.{column}"))
        .collect();
    let mut joins = String::new();
    for (column, to) in moved.keys {
        columns.push(format!("{column} = m_{column}.image"));
        joins += &format!(" LEFT JOIN all_{to} AS m_{column} ON m_{column}.id = s.{column}");
    }
    format!(
        "UPDATE {table} AS t SET {} FROM thirds JOIN {table} AS s ON s.id = thirds.image{joins} WHERE t.id = thirds.id",
        columns.join(", "),
        table = moved.table
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gets_its_image_and_mirrored_keys() {
        let badges = STATS.last().map(replace).expect("eight tables");
        assert_eq!(
            badges,
            "UPDATE tags AS t SET count = s.count, excerptpostid = m_excerptpostid.image FROM thirds \
             JOIN tags AS s ON s.id = thirds.image LEFT JOIN all_posts AS m_excerptpostid \
             ON m_excerptpostid.id = s.excerptpostid WHERE t.id = thirds.id"
        );
    }

    #[test]
    fn keys_are_mirrored_before_any_row_moves() {
        let all = commands(STATS);
        let last_mirror = all.iter().rposition(|command| command.contains("TABLE all_"));
        let first_update = all.iter().position(|command| command.starts_with("UPDATE"));
        assert!(last_mirror < first_update, "{all:?}");
        assert_eq!(
            all.iter()
                .filter(|command| command.starts_with("VACUUM ANALYZE"))
                .count(),
            STATS.len()
        );
    }
}
