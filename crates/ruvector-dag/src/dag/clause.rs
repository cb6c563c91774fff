//! Clauses of an operator: what EXPLAIN shows of conditions and keys.

use super::coded::coded;
use serde::{Deserialize, Serialize};

coded! {
    /// What a clause is for. Declared in the order in which an operator read from EXPLAIN keeps its clauses.
    ClauseKind {
        IndexCond = 1 "Index Cond",
        RecheckCond = 2 "Recheck Cond",
        TidCond = 3 "TID Cond",
        OrderBy = 4 "Order By",
        HashCond = 5 "Hash Cond",
        MergeCond = 6 "Merge Cond",
        JoinFilter = 7 "Join Filter",
        OneTimeFilter = 8 "One-Time Filter",
        Filter = 9 "Filter",
        RunCondition = 10 "Run Condition",
        CacheKey = 11 "Cache Key",
        SortKey = 12 "Sort Key",
        PresortedKey = 13 "Presorted Key",
        GroupKey = 14 "Group Key",
        ConflictFilter = 15 "Conflict Filter",
    }
}

impl ClauseKind {
    /// Whether it is evaluated for rows, and not a list of keys.
    pub fn is_condition(self) -> bool {
        !matches!(
            self,
            Self::CacheKey | Self::SortKey | Self::PresortedKey | Self::GroupKey
        )
    }
}

/// One clause. Its text is EXPLAIN's and may hold literals; the keys of a list are joined by `", "`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// What it is for.
    pub kind: ClauseKind,
    /// Its text.
    pub text: String,
}

impl Clause {
    /// A clause of this kind and text.
    pub fn new(kind: ClauseKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}
