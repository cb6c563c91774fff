//! The rules by name, and sets of them.

use crate::settings;

/// A rule that rewrites statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    EagerAggregation,
    EagerAggregationOverOuterJoins,
    ScalarSubqueryToJoin,
    ExistsToJoin,
    NotInToAntiJoin,
    OrToUnionAll,
    DistinctToSemiJoin,
    RedundantSelfJoin,
    InToSemiJoin,
    TopNBelowJoin,
    ForeignKeyJoin,
}

impl Rule {
    /// All rules.
    pub(crate) const ALL: [Self; 11] = [
        Self::EagerAggregation,
        Self::EagerAggregationOverOuterJoins,
        Self::ScalarSubqueryToJoin,
        Self::ExistsToJoin,
        Self::NotInToAntiJoin,
        Self::OrToUnionAll,
        Self::DistinctToSemiJoin,
        Self::RedundantSelfJoin,
        Self::InToSemiJoin,
        Self::TopNBelowJoin,
        Self::ForeignKeyJoin,
    ];

    /// As `ruvector.dag_rewrite_rules` and EXPLAIN name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EagerAggregation => "eager_aggregation",
            Self::EagerAggregationOverOuterJoins => "eager_aggregation_over_outer_joins",
            Self::ScalarSubqueryToJoin => "scalar_subquery_to_join",
            Self::ExistsToJoin => "exists_to_join",
            Self::NotInToAntiJoin => "not_in_to_anti_join",
            Self::OrToUnionAll => "or_to_union_all",
            Self::DistinctToSemiJoin => "distinct_to_semi_join",
            Self::RedundantSelfJoin => "redundant_self_join",
            Self::InToSemiJoin => "in_to_semi_join",
            Self::TopNBelowJoin => "top_n_below_join",
            Self::ForeignKeyJoin => "foreign_key_join",
        }
    }
}

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rules(u16);

impl Rules {
    /// No rule.
    pub(crate) const NONE: Self = Self(0);

    /// The rules in it.
    pub(crate) fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.into_iter().filter(move |&rule| self.has(rule))
    }

    /// The rules that the settings allow.
    pub(crate) fn allowed() -> Self {
        let names = settings::rewrite_rules();
        let trusts = settings::trusts_foreign_keys();
        Self::which(|rule| names.contains(rule.name()) && (trusts || rule != Rule::ForeignKeyJoin))
    }

    /// The rules of which this holds.
    pub(crate) fn which(holds: impl Fn(Rule) -> bool) -> Self {
        let chosen = Rule::ALL.into_iter().filter(|&rule| holds(rule));
        chosen.fold(Self::default(), Self::with)
    }

    /// The set with this rule, too.
    pub(crate) fn with(self, rule: Rule) -> Self {
        Self(self.0 | 1 << rule as u8)
    }

    /// The rules of both sets.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a rule is in it.
    pub(crate) fn has(self, rule: Rule) -> bool {
        self.0 & 1 << rule as u8 != 0
    }

    /// The names, separated by commas.
    pub(crate) fn names(self) -> String {
        self.iter().map(Rule::name).collect::<Vec<_>>().join(", ")
    }
}
