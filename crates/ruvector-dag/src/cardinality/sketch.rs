//! A query level without constants and aliases: from its sketch any sub-join of it can be told to the row model.

use super::identity::{RelationGraph, RelationSet, Term, positions};
use super::mixing::hash_words;
use super::template::{BaseRelation, ClauseEstimate, JoinClass, SubJoin};
use serde::{Deserialize, Serialize};

/// Keeps columns, and kinds of join, apart from other hashes.
mod tag {
    pub(super) const COLUMN: u64 = 31;
    pub(super) const OUTER_JOIN: u64 = 32;
}

/// What a graph does not know of a base relation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableFacts {
    /// The table, hashed; the same in every statement.
    pub table: u64,
    /// Its rows before any clause.
    pub rows: f64,
    /// The estimated selectivity of each clause, in the order of [`super::Relation::clauses`].
    pub selectivities: Vec<f64>,
}

/// A join and the relations it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SketchedJoin {
    /// All of these; 0 for an equality, which any two of its members have.
    needs: RelationSet,
    class: JoinClass,
}

/// The relations of a query level and what joins them, as [`SubJoin`]s see them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct JoinSketch {
    relations: Vec<BaseRelation>,
    joins: Vec<SketchedJoin>,
}

impl RelationGraph {
    /// The graph without constants, given what is known of its relations in their order.
    pub fn sketch(&self, tables: &[TableFacts]) -> JoinSketch {
        let table = |position: usize| tables.get(position).map_or(0, |facts| facts.table);
        let template = |term: &Term| term.without_constants().hash(&table);
        let described = self.relations.iter().zip(tables);
        let relations = described.map(|(relation, facts)| BaseRelation {
            table: facts.table,
            rows: facts.rows,
            clauses: relation
                .clauses
                .iter()
                .zip(&facts.selectivities)
                .map(|(clause, &selectivity)| ClauseEstimate {
                    template: template(clause),
                    selectivity,
                })
                .collect(),
        });
        let equalities = self.equivalences.iter().map(|members| SketchedJoin {
            needs: 0,
            class: JoinClass {
                kind: 0,
                members: members
                    .iter()
                    .filter_map(|(set, term)| Some((positions(*set).next()?, template(term))))
                    .collect(),
            },
        });
        let column = |(relation, attribute): (usize, i16)| {
            let words = [tag::COLUMN, table(relation), attribute as u64];
            (relation, hash_words(words))
        };
        let clauses = self.clauses.iter().map(|(set, term)| {
            let mut members: Vec<(usize, u64)> = term.columns().into_iter().map(column).collect();
            members.sort_unstable();
            members.dedup();
            let kind = template(term).max(1);
            SketchedJoin {
                needs: *set,
                class: JoinClass { kind, members },
            }
        });
        let outer = self.outer_joins.iter().map(|join| SketchedJoin {
            needs: join.left | join.right,
            class: JoinClass {
                kind: hash_words([tag::OUTER_JOIN, join.kind]).max(1),
                members: [join.left, join.right]
                    .into_iter()
                    .zip(0..)
                    .filter_map(|(set, side)| {
                        let first = positions(set).next()?;
                        Some((first, hash_words([tag::OUTER_JOIN, side, table(first)])))
                    })
                    .collect(),
            },
        });
        JoinSketch {
            relations: relations.collect(),
            joins: equalities.chain(clauses).chain(outer).collect(),
        }
    }
}

impl JoinSketch {
    /// The sub-join of a set of its relations, and the planner's estimate of it; what is not in the sketch is left out.
    ///
    /// Complexity: O(relations + members of joins).
    pub fn sub_join(&self, set: RelationSet, estimate: f64) -> SubJoin {
        let kept: Vec<usize> = positions(set)
            .filter(|&position| position < self.relations.len())
            .collect();
        let joins = self.joins.iter().filter_map(|join| {
            let members = join.class.members.iter().filter_map(|&(position, column)| {
                Some((kept.iter().position(|&kept| kept == position)?, column))
            });
            let members: Vec<(usize, u64)> = members.collect();
            let first = members.first()?.0;
            let joins_two = members.iter().any(|(position, _)| *position != first);
            let is_inside = join.needs & !set == 0 && joins_two;
            is_inside.then_some(JoinClass {
                kind: join.class.kind,
                members,
            })
        });
        SubJoin {
            joins: joins.collect(),
            relations: kept
                .iter()
                .filter_map(|&position| self.relations.get(position).cloned())
                .collect(),
            estimate,
        }
    }
}
