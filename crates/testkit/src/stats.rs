//! Loading the STATS data: schema, rows, the benchmark's indexes, ANALYZE.

use crate::Result;
use anyhow::Context;
use postgres::Client;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

const TABLES: &[(&str, &str)] = &[
    (
        "users",
        "id int PRIMARY KEY, reputation int, creationdate timestamp, views int, upvotes int, downvotes int",
    ),
    (
        "posts",
        "id int PRIMARY KEY, posttypeid smallint, creationdate timestamp, score int, viewcount int, owneruserid int, \
         answercount int, commentcount int, favoritecount int, lasteditoruserid int",
    ),
    (
        "postLinks",
        "id int PRIMARY KEY, creationdate timestamp, postid int, relatedpostid int, linktypeid smallint",
    ),
    (
        "postHistory",
        "id int PRIMARY KEY, posthistorytypeid smallint, postid int, creationdate timestamp, userid int",
    ),
    (
        "comments",
        "id int PRIMARY KEY, postid int, score smallint, creationdate timestamp, userid int",
    ),
    (
        "votes",
        "id int PRIMARY KEY, postid int, votetypeid smallint, creationdate timestamp, userid int, bountyamount smallint",
    ),
    ("badges", "id int PRIMARY KEY, userid int, date timestamp"),
    ("tags", "id int PRIMARY KEY, count int, excerptpostid int"),
];

const INDEXES: &str = "CREATE INDEX ON posts (owneruserid); CREATE INDEX ON posts (lasteditoruserid);
    CREATE INDEX ON postlinks (relatedpostid); CREATE INDEX ON postlinks (postid);
    CREATE INDEX ON posthistory (postid); CREATE INDEX ON posthistory (userid);
    CREATE INDEX ON comments (postid); CREATE INDEX ON comments (userid);
    CREATE INDEX ON votes (userid); CREATE INDEX ON votes (postid);
    CREATE INDEX ON badges (userid); CREATE INDEX ON tags (excerptpostid);";

/// Loads the data of `folder` into the connected database.
pub fn load(client: &mut Client, folder: &Path) -> Result<()> {
    for (table, columns) in TABLES {
        client.batch_execute(&format!("CREATE TABLE {table} ({columns})"))?;
        let path = folder.join(format!("{table}.csv.zst"));
        let file = File::open(&path).with_context(|| format!("no {}", path.display()))?;
        let mut rows = BufReader::new(zstd::Decoder::new(file)?);
        let mut header = String::new();
        rows.read_line(&mut header)?;
        let mut copy = client.copy_in(&format!(
            "COPY {table} ({}) FROM STDIN (FORMAT csv)",
            header.trim()
        ))?;
        std::io::copy(&mut rows, &mut copy)?;
        copy.finish()?;
    }
    client.batch_execute(INDEXES)?;
    // VACUUM can't run in the transaction of a batch.
    client.batch_execute("VACUUM ANALYZE")?;
    Ok(())
}
