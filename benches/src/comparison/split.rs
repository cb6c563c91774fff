//! What is learned from and what is then seen for the first time.

use crate::workload::template_of;
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// How statements are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// Two thirds at random to learn from.
    Thirds { seed: u64 },
    /// Templates dealt into groups, each of which is left out once.
    Template { groups: usize, seed: u64 },
}

/// Positions of statements.
#[derive(Debug, PartialEq)]
pub(super) struct Fold {
    pub(super) train: Vec<usize>,
    pub(super) test: Vec<usize>,
}

impl FromStr for Split {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let number = |at: usize, default: u64| {
            parts.get(at).map_or(Ok(default), |part| {
                part.parse().with_context(|| format!("not a number: {part}"))
            })
        };
        match parts[0] {
            "thirds" => Ok(Self::Thirds { seed: number(1, 1)? }),
            "template" => Ok(Self::Template {
                groups: number(1, 5)? as usize,
                seed: number(2, 1)?,
            }),
            other => {
                bail!("no split {other:?}: thirds:SEED, or template:GROUPS:SEED (0 groups: one per template)")
            }
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thirds { seed } => write!(f, "thirds:{seed}"),
            Self::Template { groups, seed } => write!(f, "template:{groups}:{seed}"),
        }
    }
}

impl Split {
    /// The folds of these statements' texts.
    pub(super) fn folds(self, statements: &[&str]) -> Vec<Fold> {
        let folds = match self {
            Self::Thirds { seed } => {
                let order = shuffled(statements.len(), seed);
                let tested = order.into_iter().take(statements.len() / 3).collect();
                vec![tested]
            }
            Self::Template { groups, seed } => by_template(statements, groups, seed),
        };
        let fold = |mut test: Vec<usize>| {
            test.sort_unstable();
            let train = (0..statements.len()).filter(|at| !test.contains(at)).collect();
            Fold { train, test }
        };
        let folds = folds.into_iter().map(fold);
        folds
            .filter(|fold| !fold.test.is_empty() && !fold.train.is_empty())
            .collect()
    }
}

/// How many templates statements have.
pub(super) fn templates(statements: &[&str]) -> usize {
    by_template(statements, 0, 0).len()
}

fn by_template(statements: &[&str], groups: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut templates: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, sql) in statements.iter().enumerate() {
        templates.entry(template_of(sql)).or_default().push(at);
    }
    let groups = if groups == 0 { templates.len() } else { groups };
    let mut folds = vec![Vec::new(); groups];
    let mut templates: Vec<Vec<usize>> = templates.into_values().collect();
    for (place, at) in shuffled(templates.len(), seed).into_iter().enumerate() {
        folds[place % groups].append(&mut templates[at]);
    }
    folds
}

/// 0 to `count` in an order that only the seed decides.
pub(crate) fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&at| engine::cardinality::hash_words([seed, at as u64]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEMENTS: [&str; 7] = [
        "SELECT 1 FROM a, b WHERE a.id = b.a AND a.x = 1",
        "SELECT 1 FROM a, b WHERE a.id = b.a AND a.x = 2",
        "SELECT 1 FROM a, c WHERE a.id = c.a",
        "SELECT 1 FROM a, c WHERE a.id = c.a AND a.x = 3",
        "SELECT 1 FROM b, c WHERE b.id = c.b",
        "SELECT 1 FROM a",
        "SELECT 1 FROM a WHERE a.x = 7",
    ];

    #[test]
    fn thirds_depend_on_nothing_but_the_seed() {
        let split: Split = "thirds:7".parse().expect("well formed");
        let folds = split.folds(&STATEMENTS);
        assert_eq!(folds, split.folds(&STATEMENTS));
        assert_eq!(
            (folds.len(), folds[0].train.len(), folds[0].test.len()),
            (1, 5, 2)
        );
        assert!((0..20).any(|seed| Split::Thirds { seed }.folds(&STATEMENTS) != folds));
    }

    #[test]
    fn a_template_is_never_on_both_sides() {
        assert_eq!(templates(&STATEMENTS), 4);
        let folds = Split::Template { groups: 3, seed: 1 }.folds(&STATEMENTS);
        let mut tested: Vec<usize> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
        tested.sort_unstable();
        assert_eq!(tested, (0..7).collect::<Vec<_>>(), "each is tested once");
        for fold in folds {
            for pair in [[0, 1], [2, 3], [5, 6]] {
                assert_eq!(fold.test.contains(&pair[0]), fold.test.contains(&pair[1]));
            }
        }
    }

    #[test]
    fn a_split_reads_what_it_writes() {
        for text in ["thirds:7", "template:0:3"] {
            assert_eq!(text.parse::<Split>().expect("well formed").to_string(), text);
        }
    }

    #[test]
    fn other_splits_are_refused() {
        assert_eq!(
            "template".parse::<Split>().expect("defaults"),
            Split::Template { groups: 5, seed: 1 }
        );
        assert!("halves:1".parse::<Split>().is_err());
        assert!("thirds:x".parse::<Split>().is_err());
    }
}
