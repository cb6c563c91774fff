//! A hint set: which join methods and which scan methods are allowed, and whether small tables may have parallel workers.

use engine::decision::WORKERS_SOONER;
use std::fmt;

const JOINS: [&str; 3] = ["nestloop", "hashjoin", "mergejoin"];
/// Name and what is off. Index and index-only scans go together.
const SCANS: [(&str, &[&str]); 7] = [
    ("all scans", &[]),
    ("no seqscan", &["seqscan"]),
    ("no indexscan", &["indexscan", "indexonlyscan"]),
    ("no bitmapscan", &["bitmapscan"]),
    ("no seqscan, no bitmapscan", &["seqscan", "bitmapscan"]),
    ("seqscan only", &["indexscan", "indexonlyscan", "bitmapscan"]),
    ("bitmapscan only", &["seqscan", "indexscan", "indexonlyscan"]),
];

/// One of the 49, or the one with parallel workers for small tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HintSet {
    /// Bit by bit, which of the join methods are allowed.
    joins: usize,
    scans: usize,
    has_workers: bool,
}

impl HintSet {
    /// Back to what the server has.
    pub(crate) const RESET: &str = "RESET enable_nestloop; RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_seqscan; \
                                    RESET enable_indexscan; RESET enable_indexonlyscan; RESET enable_bitmapscan; \
                                    RESET min_parallel_table_scan_size; RESET min_parallel_index_scan_size";

    /// All of them, the one that leaves everything as it is first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let joins = (1..1 << JOINS.len()).rev();
        let of_methods = joins.flat_map(|joins| {
            (0..SCANS.len()).map(move |scans| Self {
                joins,
                scans,
                has_workers: false,
            })
        });
        of_methods.chain([Self::WITH_WORKERS])
    }

    const WITH_WORKERS: Self = Self {
        joins: (1 << JOINS.len()) - 1,
        scans: 0,
        has_workers: true,
    };

    fn allows(self, join: usize) -> bool {
        self.joins & (1 << join) != 0
    }

    /// The settings, for a session that has none of them.
    pub(crate) fn apply(self) -> String {
        let (_, scans) = SCANS[self.scans];
        let joins = JOINS
            .iter()
            .enumerate()
            .filter(|(at, _)| !self.allows(*at))
            .map(|(_, join)| *join);
        let off = joins.chain(scans.iter().copied());
        let least_sizes = WORKERS_SOONER.iter().filter(|_| self.has_workers);
        off.map(|method| format!("SET enable_{method} = off;"))
            .chain(least_sizes.map(|name| format!("SET {} = 0;", name.to_string_lossy())))
            .collect()
    }
}

impl fmt::Display for HintSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joins = (0..JOINS.len()).filter(|at| self.allows(*at));
        let joins: Vec<&str> = joins.map(|at| JOINS[at]).collect();
        let workers = if self.has_workers { "; workers" } else { "" };
        write!(f, "{}; {}{workers}", joins.join(" "), SCANS[self.scans].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_50_and_the_first_leaves_everything_as_it_is() {
        let all: BTreeSet<String> = HintSet::all().map(HintSet::apply).collect();
        assert_eq!(all.len(), 50);
        let first = HintSet::all().next().expect("50");
        assert_eq!(
            (first.apply(), first.to_string()),
            (String::new(), "nestloop hashjoin mergejoin; all scans".to_owned())
        );
    }

    #[test]
    fn what_is_switched_off_is_switched_back() {
        for hint_set in HintSet::all() {
            for setting in hint_set.apply().split(';').filter(|setting| !setting.is_empty()) {
                let reset = setting
                    .replace("SET", "RESET")
                    .replace(" = off", "")
                    .replace(" = 0", "");
                assert!(HintSet::RESET.contains(&reset), "{reset}");
            }
        }
    }
}
