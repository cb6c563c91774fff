//! What is measured: STATS or the generated shop, in a throwaway cluster.

mod drift;
mod generated;
mod template;

pub(crate) use template::template_of;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use std::collections::HashMap;
use std::path::PathBuf;
use testkit::{Cluster, Server, stats};

/// The database that holds the data.
pub(crate) const DATABASE: &str = "workload";

/// Which data, which statements, on which server.
#[derive(Args, Debug, Clone)]
#[group(id = "workload")]
pub(crate) struct Options {
    /// The generated shop instead of STATS.
    #[arg(long)]
    pub(crate) generated: bool,
    /// Size of the generated shop; 1 is ten times the demo's.
    #[arg(long, default_value_t = 1.0)]
    size: f64,
    /// Folder of the STATS data.
    #[arg(long, default_value = "../shared/stats")]
    data: PathBuf,
    /// Statements: `id<TAB>sql` or `id<TAB>published result<TAB>sql`; default: queries.tsv of the data.
    #[arg(long)]
    queries: Option<PathBuf>,
    /// Seconds a statement may take.
    #[arg(long, default_value_t = 8.0)]
    limit: f64,
    /// Only these ids, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Server settings.
    #[arg(long, value_enum, default_value = "tuned")]
    settings: Settings,
}

/// Which settings the server runs with.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Settings {
    /// shared_buffers 2GB, work_mem 64MB, random_page_cost 1.1, no JIT, no parallel plans.
    Tuned,
    /// What initdb writes.
    Initdb,
}

impl Settings {
    fn lines(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Settings::Tuned => &[
                ("shared_buffers", "2GB"),
                ("work_mem", "64MB"),
                ("random_page_cost", "1.1"),
                ("jit", "off"),
                ("max_parallel_workers_per_gather", "0"),
            ],
            Settings::Initdb => &[],
        }
    }
}

impl Options {
    /// What the numbers are to be called.
    pub(crate) fn title(&self) -> &'static str {
        if self.generated {
            "A generated shop"
        } else {
            "STATS, three tables reconstructed"
        }
    }

    /// A session's limit on the time of a statement.
    pub(crate) fn limit(&self) -> String {
        format!("SET statement_timeout = '{}ms'", (self.limit * 1000.0) as u64)
    }

    /// The server's settings and what is left out, for a report. Two runs compare when it is the same.
    pub(crate) fn describe(&self) -> serde_json::Value {
        let server: serde_json::Map<_, _> = self
            .settings
            .lines()
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        serde_json::json!({
            "workload": if self.generated { format!("generated, size {}", self.size) } else { "stats".to_owned() },
            "limit_s": self.limit,
            "settings": format!("{:?}", self.settings).to_lowercase(),
            "server": server,
            "only": self.only,
        })
    }

    /// Id and text of each statement.
    pub(crate) fn statements(&self) -> Result<Vec<(String, String)>> {
        let all = if self.generated {
            generated::statements()
        } else {
            let path = self.queries.clone();
            let path = path.unwrap_or_else(|| self.data.join("queries.tsv"));
            let text = std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
            parse_queries(&text)?
        };
        let wanted = |id: &str| self.only.is_empty() || self.only.iter().any(|only| only == id);
        Ok(all.into_iter().filter(|(id, _)| wanted(id)).collect())
    }

    /// The counts that statements give, where they are known without running them: by id.
    pub(crate) fn known_results(&self) -> Result<HashMap<String, String>> {
        let path = self.data.join("true_rows.json");
        if self.generated || !path.exists() {
            return Ok(HashMap::new());
        }
        let known: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let of_one =
            |one: &serde_json::Value| Some((one["id"].to_string(), one["result"].as_u64()?.to_string()));
        Ok(known.iter().filter_map(of_one).collect())
    }

    /// Starts a cluster and loads the data into [`DATABASE`].
    pub(crate) fn start<'s>(&self, server: &'s Server) -> Result<Cluster<'s>> {
        let lines = self.settings.lines();
        let cluster = lines
            .iter()
            .fold(Cluster::builder(server), |builder, (name, value)| {
                builder.set(name, value)
            });
        let cluster = cluster.set("autovacuum", "off").start()?;
        println!("loading: {}", self.title());
        cluster
            .client("postgres")?
            .batch_execute(&format!("CREATE DATABASE {DATABASE}"))?;
        let mut client = cluster.client(DATABASE)?;
        if self.generated {
            println!("{}", generated::RECIPE);
            client.batch_execute(&generated::tables(self.size))?;
            client.batch_execute("VACUUM ANALYZE")?;
        } else {
            stats::load(&mut client, &self.data)?;
        }
        Ok(cluster)
    }

    /// What replaces a third of the rows of every table, one command each.
    pub(crate) fn drift(&self) -> Vec<String> {
        drift::commands(if self.generated {
            generated::MOVED
        } else {
            drift::STATS
        })
    }
}

fn parse_queries(text: &str) -> Result<Vec<(String, String)>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (id, rest) = line
                .split_once('\t')
                .with_context(|| format!("no tab in {line:?}"))?;
            let sql = rest.rsplit('\t').next().unwrap_or(rest);
            Ok((id.to_owned(), sql.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_query_file_are_read() {
        let read = parse_queries("1\tSELECT 1\n2\t99\tSELECT 2\n\n").expect("well formed");
        assert_eq!(
            read,
            [
                ("1".to_owned(), "SELECT 1".to_owned()),
                ("2".to_owned(), "SELECT 2".to_owned())
            ]
        );
        assert!(parse_queries("SELECT 1").is_err());
    }
}
