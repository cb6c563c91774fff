//! The files in docs/monitoring, against a server.

use anyhow::Context;
use postgres::{Client, SimpleQueryMessage};
use ruvector_dag_tests::{TABLE, learn, learning, load, server};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use testkit::{Result, build};

/// What a query gives: the columns' names, and the rows as text.
type Table = (Vec<String>, Vec<Vec<Option<String>>>);

fn text(name: &str) -> Result<String> {
    let path = build::root().join("docs/monitoring").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))
}

fn yaml(name: &str) -> Result<Value> {
    Ok(serde_norway::from_str(&text(name)?)?)
}

fn table(client: &mut Client, sql: &str) -> Result<Table> {
    let prepared = client.prepare(sql)?;
    let columns = prepared.columns().iter();
    let names = columns.map(|column| column.name().to_owned()).collect();
    let messages = client.simple_query(sql)?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
        }
        _ => None,
    });
    Ok((names, rows.collect()))
}

/// A query's SQL, and the usages of its columns.
type Exported = (String, BTreeMap<String, String>);

/// The exporter's queries by name.
fn exported() -> Result<BTreeMap<String, Exported>> {
    let file = yaml("postgres_exporter.yml")?;
    let queries = file.as_object().context("a map of queries")?;
    let mut exported = BTreeMap::new();
    for (name, query) in queries {
        let metrics = query["metrics"].as_array().context("a list of metrics")?;
        let columns = metrics.iter().filter_map(Value::as_object).flatten();
        let usages = columns.map(|(column, told)| {
            assert!(
                told["description"].is_string(),
                "{name}.{column} is not described"
            );
            (
                column.clone(),
                told["usage"].as_str().unwrap_or_default().to_owned(),
            )
        });
        let sql = query["query"].as_str().context("a query")?;
        exported.insert(name.clone(), (sql.to_owned(), usages.collect()));
    }
    Ok(exported)
}

/// A cluster's monitoring role, after something was learned.
fn monitoring(cluster: &testkit::Cluster<'_>) -> Result<Client> {
    let mut owner = cluster.client("postgres")?;
    load(&mut owner, TABLE)?;
    learn(&mut owner, 0..3)?;
    owner.batch_execute("CREATE ROLE monitoring LOGIN; GRANT pg_monitor TO monitoring")?;
    cluster.client_as("postgres", "monitoring")
}

#[test]
fn the_exporters_queries_run_as_the_monitoring_role_and_give_the_columns_they_name() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = monitoring(&cluster)?;
    for (name, (sql, usages)) in exported()? {
        let (columns, rows) = table(&mut client, &sql).with_context(|| name.clone())?;
        assert_eq!(
            columns.iter().collect::<BTreeSet<_>>(),
            usages.keys().collect(),
            "{name}: the columns of its query"
        );
        assert!(!rows.is_empty(), "{name} gives nothing");
        for (column, value) in rows.iter().flat_map(|row| columns.iter().zip(row)) {
            let usage = usages[column].as_str();
            assert!(
                ["LABEL", "COUNTER", "GAUGE"].contains(&usage),
                "{name}.{column}: {usage}"
            );
            let is_number = value.as_ref().is_none_or(|value| value.parse::<f64>().is_ok());
            assert!(usage == "LABEL" || is_number, "{name}.{column} is {value:?}");
        }
    }
    Ok(())
}

#[test]
fn the_collectors_queries_run_as_the_monitoring_role_and_give_no_null() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = monitoring(&cluster)?;
    let file = yaml("otel_sqlquery.yml")?;
    let queries = &file["receivers"]["sqlquery/ruvector_dag"]["queries"];
    for query in queries.as_array().context("a list of queries")? {
        let (columns, rows) = table(&mut client, query["sql"].as_str().context("a statement")?)?;
        assert!(!rows.is_empty(), "{query} gives nothing");
        for metric in query["metrics"].as_array().context("a list of metrics")? {
            let attributes = metric["attribute_columns"].as_array().into_iter().flatten();
            for wanted in attributes.chain([&metric["value_column"]]) {
                let at = columns.iter().position(|column| wanted == column);
                let at = at.with_context(|| format!("{metric}: no column {wanted}"))?;
                assert!(
                    rows.iter().all(|row| row[at].is_some()),
                    "{metric}: {wanted} is NULL"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_dashboard_shows_nothing_that_the_exporter_does_not_give() -> Result<()> {
    let mut given = BTreeSet::new();
    let mut labels = BTreeSet::new();
    for (name, (_, usages)) in exported()? {
        for (column, usage) in usages {
            match usage.as_str() {
                "LABEL" => labels.insert(column),
                _ => given.insert(format!("{name}_{column}")),
            };
        }
    }
    let dashboard: Value = serde_json::from_str(&text("grafana-dashboard.json")?)?;
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().context("a list of panels")? {
        for target in panel["targets"].as_array().context("a list of targets")? {
            shown.extend(words(target["expr"].as_str().context("an expression")?));
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            for label in legend
                .split("{{")
                .skip(1)
                .filter_map(|rest| rest.split("}}").next())
            {
                assert!(labels.contains(label), "no label {label}: {target}");
            }
        }
    }
    let shown: BTreeSet<String> = shown
        .into_iter()
        .filter(|word| word.starts_with("ruvector_dag"))
        .collect();
    assert!(shown.len() > 10, "{shown:?}");
    assert_eq!(
        shown.difference(&given).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    // The variables of the dashboard, and the alerts of the page, name metrics too.
    let variables = words(&dashboard["templating"].to_string());
    let page = words(&std::fs::read_to_string(
        build::root().join("docs/monitoring.md"),
    )?);
    for word in variables
        .iter()
        .chain(&page)
        .filter(|word| word.starts_with("ruvector_dag_"))
    {
        assert!(given.contains(word), "no metric {word}");
    }
    Ok(())
}

fn words(text: &str) -> BTreeSet<String> {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
