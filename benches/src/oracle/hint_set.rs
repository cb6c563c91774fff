//! A hint set: which join methods and which scan methods are allowed.

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

/// One of the 49.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HintSet {
    /// Bit by bit, which of the join methods are allowed.
    joins: usize,
    scans: usize,
}

impl HintSet {
    /// Back to what the server has.
    pub(crate) const RESET: &str = "RESET enable_nestloop; RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_seqscan; \
                                    RESET enable_indexscan; RESET enable_indexonlyscan; RESET enable_bitmapscan";

    /// All of them, the one that allows everything first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let joins = (1..1 << JOINS.len()).rev();
        joins.flat_map(|joins| (0..SCANS.len()).map(move |scans| Self { joins, scans }))
    }

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
        off.map(|method| format!("SET enable_{method} = off;")).collect()
    }
}

impl fmt::Display for HintSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joins = (0..JOINS.len()).filter(|at| self.allows(*at));
        let joins: Vec<&str> = joins.map(|at| JOINS[at]).collect();
        write!(f, "{}; {}", joins.join(" "), SCANS[self.scans].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_49_and_the_first_allows_everything() {
        let all: BTreeSet<String> = HintSet::all().map(HintSet::apply).collect();
        assert_eq!(all.len(), 49);
        let first = HintSet::all().next().expect("49");
        assert_eq!(
            (first.apply(), first.to_string()),
            (String::new(), "nestloop hashjoin mergejoin; all scans".to_owned())
        );
    }

    #[test]
    fn what_is_switched_off_is_switched_back() {
        for hint_set in HintSet::all() {
            for setting in hint_set.apply().split(';').filter(|setting| !setting.is_empty()) {
                let reset = setting.replace("SET", "RESET").replace(" = off", "");
                assert!(HintSet::RESET.contains(&reset), "{reset}");
            }
        }
    }
}
