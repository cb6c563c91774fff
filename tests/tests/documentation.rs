//! The SQL in the pages, run.

use anyhow::{Context, bail};
use postgres::Client;
use ruvector_dag_tests::{learning, server};
use testkit::{Result, build};

/// What the pages' statements are about.
const SHOP: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE customers (id int PRIMARY KEY, city int);
    CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers);
    INSERT INTO customers SELECT i, i % 20 FROM generate_series(1, 2000) AS i;
    INSERT INTO orders SELECT i, 1 + i % 2000 FROM generate_series(1, 20000) AS i;
    ANALYZE";

const STATEMENT: &str =
    "SELECT count(*) FROM orders JOIN customers ON customer = customers.id WHERE city = 3";

/// SQL of a page: where it begins, what it is to raise, its text.
struct Block {
    line: usize,
    raises: Option<String>,
    sql: String,
}

/// The blocks fenced as `sql`, or as `sql raises SQLSTATE`.
fn blocks(page: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else {
            continue;
        };
        let inside = lines.by_ref().map(|(_, line)| line);
        let sql: Vec<&str> = inside.take_while(|line| !line.starts_with("```")).collect();
        let raises = match fence.split(' ').collect::<Vec<_>>()[..] {
            ["sql"] => None,
            ["sql", "raises", sqlstate] => Some(sqlstate.to_owned()),
            ["sql", ..] => bail!("line {}: a fence that is not known: {fence}", at + 1),
            _ => continue,
        };
        blocks.push(Block {
            line: at + 1,
            raises,
            sql: sql.join("\n"),
        });
    }
    Ok(blocks)
}

/// Runs a block's statements one by one, as psql does; the last one is to raise what the block says.
fn run(client: &mut Client, block: &Block) -> Result<()> {
    let statements: Vec<&str> = block.sql.trim_end().trim_end_matches(';').split(";\n").collect();
    for (at, statement) in statements.iter().enumerate() {
        let is_last = at + 1 == statements.len();
        let expected = block.raises.as_deref().filter(|_| is_last);
        match (client.simple_query(statement), expected) {
            (Ok(_), None) => {}
            (Ok(_), Some(sqlstate)) => bail!("no error {sqlstate}: {statement}"),
            (Err(error), Some(sqlstate)) if error.code().is_some_and(|code| code.code() == sqlstate) => {}
            (Err(error), _) => return Err(error).with_context(|| (*statement).to_owned()),
        }
    }
    Ok(())
}

#[test]
fn every_statement_in_the_pages_runs_or_raises_what_the_page_says() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut ran = 0;
    for (number, page) in build::pages()?.into_iter().enumerate() {
        let found = blocks(&std::fs::read_to_string(&page)?)?;
        if found.is_empty() {
            continue;
        }
        let database = format!("page_{number}");
        cluster
            .client("postgres")?
            .batch_execute(&format!("CREATE DATABASE {database}"))?;
        let mut owner = cluster.client(&database)?;
        owner.batch_execute(SHOP)?;
        for _ in 0..3 {
            owner.simple_query(STATEMENT)?;
        }
        for block in &found {
            // What a block sets is gone with its session, as it is for who tries one.
            let mut client = cluster.client(&database)?;
            run(&mut client, block).with_context(|| format!("{}:{}", page.display(), block.line))?;
            ran += 1;
        }
    }
    assert!(ran > 15, "{ran} blocks of SQL");
    Ok(())
}
