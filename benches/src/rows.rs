//! The sub-joins of the STATS statements as PostgreSQL estimates them, beside their exact counts: what
//! `examples/row_model_evaluation.rs` of the engine reads, one JSON object a line.

use crate::session::Session;
use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::path::PathBuf;
use testkit::{Cluster, Server, stats};

/// Options of the extraction.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Folder of the STATS data, with queries.tsv and true_rows.json.
    #[arg(long, default_value = "../shared/stats")]
    data: PathBuf,
    /// Folder of rows.jsonl.
    #[arg(long, default_value = "bench-out")]
    out: PathBuf,
}

/// A clause on one alias: column, operator, constant.
type Filter = (String, String, String);

/// A statement of the benchmark: inner joins by equality, filters `column operator constant`.
#[derive(Debug, Default, PartialEq)]
struct Statement {
    /// Table by alias.
    tables: BTreeMap<String, String>,
    /// Filters by alias.
    filters: BTreeMap<String, Vec<Filter>>,
    /// Columns (`alias.column`) equal to one another.
    equalities: Vec<BTreeSet<String>>,
}

impl Statement {
    fn parse(sql: &str) -> Result<Self> {
        let unreadable = || format!("not a statement of this benchmark: {sql}");
        let (_, rest) = sql.split_once(" FROM ").with_context(unreadable)?;
        let (tables, clauses) = rest.split_once(" WHERE ").with_context(unreadable)?;
        let mut statement = Self::default();
        for table in tables.split(',') {
            let (table, alias) = table.trim().split_once(" as ").with_context(unreadable)?;
            statement
                .tables
                .insert(alias.to_lowercase(), table.to_lowercase());
        }
        for clause in clauses.trim_end_matches(';').split(" AND ") {
            let operators = ["<=", ">=", "<>", "=", "<", ">"];
            let found = operators
                .iter()
                .find_map(|operator| Some((operator, clause.split_once(operator)?)));
            let (operator, (left, right)) = found.with_context(unreadable)?;
            let (left, right) = (left.trim().to_lowercase(), right.trim());
            let (alias, column) = left.split_once('.').with_context(unreadable)?;
            let other = right.split_once('.').map(|(alias, _)| alias.to_lowercase());
            if other.is_some_and(|other| statement.tables.contains_key(&other)) {
                statement.equate(left, right.to_lowercase());
            } else {
                let filter = (column.to_owned(), (*operator).to_owned(), right.to_owned());
                statement
                    .filters
                    .entry(alias.to_owned())
                    .or_default()
                    .push(filter);
            }
        }
        Ok(statement)
    }

    fn equate(&mut self, left: String, right: String) {
        let is_touched = |class: &BTreeSet<String>| class.contains(&left) || class.contains(&right);
        let (touched, mut rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.equalities)
            .into_iter()
            .partition(is_touched);
        rest.push(touched.into_iter().flatten().chain([left, right]).collect());
        self.equalities = rest;
    }

    /// What of the equalities lies inside a set of aliases.
    fn equalities_of(&self, aliases: &BTreeSet<&str>) -> Vec<Vec<&str>> {
        let inside = |column: &&str| {
            column
                .split_once('.')
                .is_some_and(|(alias, _)| aliases.contains(alias))
        };
        let classes = self
            .equalities
            .iter()
            .map(|class| class.iter().map(String::as_str).filter(inside).collect());
        classes.filter(|class: &Vec<&str>| class.len() > 1).collect()
    }

    fn filters_of(&self, alias: &str) -> &[Filter] {
        self.filters.get(alias).map_or(&[], Vec::as_slice)
    }

    /// The statement of these aliases alone.
    fn sub_join(&self, aliases: &BTreeSet<&str>) -> String {
        let tables: Vec<String> = self
            .tables
            .iter()
            .filter(|(alias, _)| aliases.contains(alias.as_str()))
            .map(|(alias, table)| format!("{table} {alias}"))
            .collect();
        let mut clauses = Vec::new();
        for class in self.equalities_of(aliases) {
            if let Some((first, others)) = class.split_first() {
                clauses.extend(others.iter().map(|other| format!("{first} = {other}")));
            }
        }
        for alias in aliases {
            let filters = self.filters_of(alias).iter();
            clauses.extend(
                filters.map(|(column, operator, constant)| format!("{alias}.{column} {operator} {constant}")),
            );
        }
        let mut sql = format!("SELECT count(*) FROM {}", tables.join(", "));
        if !clauses.is_empty() {
            let _ = write!(sql, " WHERE {}", clauses.join(" AND "));
        }
        sql
    }
}

/// Plans everything and writes the lines.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::with_extension(15)?;
    let cluster = Cluster::builder(&server)
        .set("autovacuum", "off")
        .set("random_page_cost", "1.1")
        .set("work_mem", "64MB")
        .set("max_parallel_workers_per_gather", "0")
        .start()?;
    stats::load(&mut cluster.client("postgres")?, &options.data)?;
    let mut session = Session::open(
        &cluster,
        "postgres",
        "SET join_collapse_limit = 20; SET from_collapse_limit = 20",
    )?;
    let read = |name: &str| {
        let path = options.data.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))
    };
    let true_rows: Vec<Value> = serde_json::from_str(&read("true_rows.json")?)?;
    let true_rows: HashMap<u64, &Value> = true_rows
        .iter()
        .filter_map(|one| Some((one["id"].as_u64()?, one)))
        .collect();
    let mut known = Selectivities::default();
    let mut lines = String::new();
    for line in read("queries.tsv")?.lines() {
        let mut fields = line.split('\t');
        let id: u64 = fields.next().unwrap_or_default().parse()?;
        let sql = fields.next_back().unwrap_or_default();
        let statement = Statement::parse(sql)?;
        let executed = counted(&session.explain("VERBOSE", sql)?["Plan"], &statement).1;
        let counts = true_rows.get(&id).and_then(|one| one["rows"].as_object());
        for (aliases, actual) in counts.with_context(|| format!("no counts of statement {id}"))? {
            let aliases: BTreeSet<&str> = aliases.split(' ').collect();
            let plan = session.explain("VERBOSE", &statement.sub_join(&aliases))?;
            let mut relations = Vec::new();
            for alias in &aliases {
                let table = statement.tables.get(*alias).context("an unknown alias")?;
                let rows = known.table_rows(&mut session, table)?;
                let mut filters = Vec::new();
                for (column, operator, constant) in statement.filters_of(alias) {
                    let clause = format!("{column} {operator} {constant}");
                    let selectivity = known.rows(&mut session, table, &clause)? / rows.max(1.0);
                    filters.push(
                        json!({"column": column, "operator": operator, "constant": constant,
                        "selectivity": selectivity}),
                    );
                }
                relations.push(json!({"alias": alias, "table": table, "rows": rows, "filters": filters}));
            }
            let line = json!({"statement": id, "relations": relations,
                "equalities": statement.equalities_of(&aliases),
                "estimate": plan["Plan"]["Plans"][0]["Plan Rows"], "actual": actual,
                "executed": executed.iter().any(|set| set.iter().map(String::as_str).eq(aliases.iter().copied()))});
            let _ = writeln!(lines, "{line}");
        }
    }
    std::fs::create_dir_all(&options.out)?;
    let path = options.out.join("rows.jsonl");
    std::fs::write(&path, &lines)?;
    println!("{} sub-joins in {}", lines.lines().count(), path.display());
    Ok(())
}

/// Rows that PostgreSQL expects of one table with one clause, asked once.
#[derive(Default)]
struct Selectivities(HashMap<String, f64>);

impl Selectivities {
    fn table_rows(&mut self, session: &mut Session, table: &str) -> Result<f64> {
        self.rows(session, table, "true")
    }

    fn rows(&mut self, session: &mut Session, table: &str, clause: &str) -> Result<f64> {
        let sql = format!("SELECT * FROM {table} WHERE {clause}");
        if let Some(rows) = self.0.get(&sql) {
            return Ok(*rows);
        }
        let rows = session.explain("VERBOSE", &sql)?["Plan"]["Plan Rows"]
            .as_f64()
            .context("no rows")?;
        self.0.insert(sql, rows);
        Ok(rows)
    }
}

/// The aliases below a node, and the sets of aliases whose rows running it counts: joins, and scans that don't depend on
/// another relation's row.
fn counted(node: &Value, statement: &Statement) -> (BTreeSet<String>, Vec<BTreeSet<String>>) {
    let (mut aliases, mut sets) = (BTreeSet::new(), Vec::new());
    aliases.extend(
        node["Alias"]
            .as_str()
            .filter(|alias| statement.tables.contains_key(*alias))
            .map(str::to_owned),
    );
    for child in node["Plans"].as_array().into_iter().flatten() {
        let (below, counted) = counted(child, statement);
        aliases.extend(below);
        sets.extend(counted);
    }
    let is_of_another = |alias: &&String| !aliases.contains(*alias) && mentions(node, alias);
    let depends = statement.tables.keys().any(|alias| is_of_another(&alias));
    if !aliases.is_empty() && !depends && sets.last() != Some(&aliases) {
        sets.push(aliases.clone());
    }
    (aliases, sets)
}

fn mentions(node: &Value, alias: &str) -> bool {
    let column = format!("{alias}.");
    let is_in = |text: &str| {
        text.match_indices(&column).any(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
        })
    };
    let conditions = ["Index Cond", "Recheck Cond", "Filter"];
    conditions
        .iter()
        .any(|name| node[*name].as_str().is_some_and(is_in))
        || node["Plans"]
            .as_array()
            .is_some_and(|plans| plans.iter().any(|plan| mentions(plan, alias)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "SELECT COUNT(*) FROM badges as b, users as u, votes as v WHERE b.UserId= u.Id AND v.UserId = \
                       b.UserId AND u.UpVotes>=0 AND b.Date<='2014-09-11 14:33:06'::timestamp;";

    #[test]
    fn a_sub_join_keeps_what_the_whole_statement_implies() {
        let statement = Statement::parse(SQL).expect("a statement of the benchmark");
        assert_eq!(
            statement.sub_join(&["u", "v"].into()),
            "SELECT count(*) FROM users u, votes v WHERE u.id = v.userid AND u.upvotes >= 0"
        );
        assert_eq!(
            statement.sub_join(&["b"].into()),
            "SELECT count(*) FROM badges b WHERE b.date <= '2014-09-11 14:33:06'::timestamp"
        );
        assert!(Statement::parse("SELECT 1").is_err());
    }

    #[test]
    fn a_scan_driven_by_another_relation_counts_nothing_of_its_own() {
        let statement = Statement::parse(SQL).expect("a statement of the benchmark");
        let plan = json!({"Node Type": "Nested Loop", "Plans": [
            {"Node Type": "Seq Scan", "Alias": "b"},
            {"Node Type": "Index Scan", "Alias": "u", "Index Cond": "(u.id = b.userid)"}]});
        let names = |set: &[&str]| set.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(counted(&plan, &statement).1, [names(&["b"]), names(&["b", "u"])]);
    }
}
