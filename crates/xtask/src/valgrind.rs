//! The regression tests under valgrind.
//!
//! Debian's server is built without `USE_VALGRIND`: valgrind sees the blocks that PostgreSQL's memory contexts get from
//! malloc, not the pieces they hand out. So of PostgreSQL's memory only what is outside of whole blocks is noticed; what
//! Rust code allocates itself comes from malloc and is watched byte by byte. For the same reason PostgreSQL's own code is
//! reported for padding that it writes to disk and sockets, which its build for valgrind marks. Instead of a file of
//! suppressions that no Debian package has, reports count as ours by where they are: in ruvector_dag.so, when its
//! frame is the first one that is not in valgrind or the C library. Others are counted and printed by object. Of leaks
//! those count to which no pointer is left at all: a process that ends leaves the rest to the kernel.
//!
//! What tests print is not compared: trials have limits of time, and everything is some thirty times slower.

use crate::{installcheck, setup};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use testkit::install::{Installed, private_folder};
use testkit::{Cluster, Server};

/// Kinds of leaks, and the one that is one.
const LEAK: &str = "<kind>Leak_";
const LOST: &str = "<kind>Leak_DefinitelyLost";
const LIBRARY: &str = "ruvector_dag.so";
/// Objects that report for others: valgrind's own, and those whose functions are given the memory.
const PASSED: &[&str] = &["vgpreload_", "/libc.so", "/libc-", "/ld-linux", "/libm.so"];

/// Runs them, and fails by what the extension's own code does to memory.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    setup::install_missing(&["valgrind", "libc6-dbg"])?;
    let installed = Installed::find(setup::MAJOR)?;
    let server = Server::with_extension(setup::MAJOR)?;
    let reports = private_folder("ruvector-dag-valgrind-", server.user.as_ref())?;
    let cluster = Cluster::builder(&server)
        .set("ruvector.dag_min_duration", "0")
        // Stops of statements and workers are as much slower.
        .set("authentication_timeout", "10min")
        .under(&command(reports.path()))
        .start()?;
    let outcome = installcheck::regress(&installed, &server, &cluster, "regress_schedule", false);
    if let Err(difference) = outcome {
        println!("{difference:#}: not compared under valgrind");
    }
    cluster.stop("fast")?;
    let (processes, found) = read(reports.path())?;
    for (place, count) in &found {
        println!("{count} reports in {place}");
    }
    println!("valgrind watched {processes} processes");
    ensure!(processes > 1, "valgrind watched nothing");
    let log = cluster.log()?;
    let mut crashes = log
        .lines()
        .filter(|line| line.contains("was terminated by signal"));
    if let Some(crash) = crashes.next() {
        bail!("the server crashed: {crash}\n{log}");
    }
    ensure!(
        !found.contains_key(LIBRARY),
        "the extension's code misuses memory"
    );
    Ok(())
}

fn command(reports: &Path) -> Vec<String> {
    let arguments = [
        "valgrind",
        "--quiet",
        "--leak-check=no",
        "--trace-children=yes",
        "--num-callers=30",
        "--xml=yes",
    ];
    let mut command: Vec<String> = arguments.map(str::to_owned).to_vec();
    command.push(format!("--xml-file={}/%p.xml", reports.display()));
    command
}

/// How many processes reported, and how often each object was reported; reports of ours are printed.
fn read(folder: &Path) -> Result<(usize, BTreeMap<String, usize>)> {
    let mut found = BTreeMap::new();
    let mut processes = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        processes += 1;
        // Where a process was when it crashed.
        if let Some((_, rest)) = text.split_once("<fatal_signal>") {
            println!("{}", rest.split("</fatal_signal>").next().unwrap_or(rest));
        }
        let reports = text.split("<error>").skip(1);
        for report in reports.filter(|report| !report.contains(LEAK) || report.contains(LOST)) {
            let place = place_of(report);
            if place == LIBRARY {
                println!("{}", report.split("</error>").next().unwrap_or(report));
            }
            *found.entry(place).or_default() += 1;
        }
    }
    Ok((processes, found))
}

/// The object whose code a report is about.
fn place_of(report: &str) -> String {
    let stack = report.split("</stack>").next().unwrap_or(report);
    let objects = stack
        .split("<obj>")
        .skip(1)
        .filter_map(|rest| rest.split("</obj>").next());
    let mut own = objects.filter(|object| !PASSED.iter().any(|passed| object.contains(passed)));
    let object = own.next().unwrap_or("an unknown object");
    object.rsplit('/').next().unwrap_or(object).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(objects: &[&str]) -> String {
        let frames: String = objects
            .iter()
            .map(|object| format!("<frame><obj>{object}</obj></frame>"))
            .collect();
        format!(
            "<kind>UninitCondition</kind><stack>{frames}</stack><stack><frame><obj>/x/postgres</obj></frame></stack>"
        )
    }

    #[test]
    fn a_report_belongs_to_the_first_object_that_is_not_the_c_librarys() {
        let memcpy = "/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so";
        let ours = "/tmp/x/usr/lib/postgresql/15/lib/ruvector_dag.so";
        assert_eq!(
            place_of(&stack(&[memcpy, "/lib/libc.so.6", ours, "/x/bin/postgres"])),
            LIBRARY
        );
        assert_eq!(place_of(&stack(&["/x/bin/postgres", ours])), "postgres");
        assert_eq!(place_of(&stack(&[])), "an unknown object");
    }
}
