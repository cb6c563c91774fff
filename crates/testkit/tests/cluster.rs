//! The kit itself: a cluster lives, crashes, is copied, and leaves nothing behind.

use std::fs;
use std::io::Write;
use testkit::cluster::wait_for;
use testkit::{Cluster, Result, Server, stats};

/// The files of STATS, with one row each.
const ROWS: &[(&str, &str)] = &[
    (
        "users",
        "Id,Reputation,CreationDate,Views,UpVotes,DownVotes\n1,2,2010-07-19 19:09:39,3,4,5\n",
    ),
    (
        "posts",
        "Id,PostTypeId,CreationDate,Score,ViewCount,OwnerUserId,AnswerCount,CommentCount,FavoriteCount,LastEditorUserId\n\
         1,1,2010-07-19 19:12:12,23,1278,,5,1,14,\n",
    ),
    (
        "postLinks",
        "Id,CreationDate,PostId,RelatedPostId,LinkTypeId\n1,2010-07-21 14:47:33,1,1,1\n",
    ),
    (
        "postHistory",
        "Id,PostHistoryTypeId,PostId,CreationDate,UserId\n1,2,1,2010-07-19 19:12:12,1\n",
    ),
    (
        "comments",
        "Id,PostId,Score,CreationDate,UserId\n1,1,5,2010-07-19 19:15:52,1\n",
    ),
    (
        "votes",
        "Id,PostId,VoteTypeId,CreationDate,UserId,BountyAmount\n1,1,2,2010-07-19 00:00:00,,\n",
    ),
    ("badges", "Id,UserId,Date\n1,1,2010-07-19 19:39:07\n"),
    ("tags", "Id,Count,ExcerptPostId\n1,1342,1\n"),
];

#[test]
fn a_cluster_survives_crashes_and_leaves_nothing() -> Result<()> {
    let server = Server::with_extension(15)?;
    let cluster = Cluster::builder(&server).set("work_mem", "7MB").start()?;
    let mut client = cluster.client("postgres")?;
    assert_eq!(client.query_one("SHOW work_mem", &[])?.get::<_, String>(0), "7MB");
    client.batch_execute("CREATE EXTENSION ruvector_dag; CREATE TABLE seen AS SELECT 42 AS x")?;

    let standby = cluster.standby()?;
    let answer = wait_for("the row on the standby", || {
        let row = standby
            .client("postgres")?
            .query_opt("SELECT x FROM seen WHERE pg_is_in_recovery()", &[]);
        Ok(row.ok().flatten().map(|row| row.get::<_, i32>(0)))
    })?;
    assert_eq!(answer, 42);

    cluster.kill(client.query_one("SELECT pg_backend_pid()", &[])?.get(0))?;
    assert!(client.query_one("SELECT 1", &[]).is_err());
    drop(client);
    let survived = |x: i32| -> Result<()> {
        let row = cluster
            .wait_until_up("postgres")?
            .query_one("SELECT x FROM seen", &[])?;
        assert_eq!(row.get::<_, i32>(0), x);
        Ok(())
    };
    survived(42)?;
    cluster.restart("immediate")?;
    survived(42)?;
    assert!(cluster.log()?.contains("was terminated by signal 9"));

    let places = [
        cluster.socket().to_owned(),
        standby.socket().to_owned(),
        server.bin.clone(),
    ];
    drop((standby, cluster));
    drop(server);
    assert!(places.iter().all(|place| !place.exists()), "{places:?}");
    Ok(())
}

#[test]
fn stats_is_loaded_from_its_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (table, rows) in ROWS {
        let file = fs::File::create(folder.path().join(format!("{table}.csv.zst")))?;
        let mut encoder = zstd::Encoder::new(file, 1)?;
        encoder.write_all(rows.as_bytes())?;
        encoder.finish()?;
    }
    let server = Server::with_extension(15)?;
    let cluster = Cluster::builder(&server).preload("").start()?;
    let mut client = cluster.client("postgres")?;
    stats::load(&mut client, folder.path())?;
    for (table, _) in ROWS {
        let row = client.query_one(&format!("SELECT count(*) FROM {table}"), &[])?;
        assert_eq!(row.get::<_, i64>(0), 1, "{table}");
    }
    let empty = client.query_one("SELECT owneruserid IS NULL AND viewcount = 1278 FROM posts", &[])?;
    assert!(empty.get::<_, bool>(0));
    let indexes = client.query_one("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'", &[])?;
    assert_eq!(indexes.get::<_, i64>(0), 8 + 12);
    Ok(())
}

#[test]
fn a_server_that_does_not_start_says_why() -> Result<()> {
    let server = Server::with_extension(15)?;
    let failed = Cluster::builder(&server).set("no_such_setting", "1").start();
    let message = failed.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(
        message.contains("unrecognized configuration parameter \"no_such_setting\""),
        "{message}"
    );
    Ok(())
}
