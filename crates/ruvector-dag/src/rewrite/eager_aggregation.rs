//! Eager aggregation: count before joining (Yan and Larson, "Eager aggregation and lazy aggregation", VLDB 1995), along
//! a join tree (Yannakakis, "Algorithms for acyclic database schemes", VLDB 1981).
//!
//! ```text
//! SELECT count(*) FROM u, p, c, v WHERE u.id = p.owner AND p.id = c.post AND p.id = v.post
//!
//!              u ⋈ p                      one row per post, its user's columns beside it: users.id is unique
//!             ╱     ╲                     answer: the sum over its rows of c.n · v.n
//!   c: post, n       v: post, n           one row per post, with the number of comments, of votes
//! ```
//!
//! Each grouped join below the root is one row per value of the key it shares with its parent, with its *multiplicity*:
//! how many rows of the plain join of all relations below it have that key. By induction over the tree: a row of the
//! join of the node's own relations with its children stands for the product of the children's multiplicities, and the
//! node's multiplicity is the sum of that over the rows of a group. The tree is a join tree, so relations in different
//! subtrees share only classes that the node itself has: every equality of the original is one inside a node, or one
//! between a node and a child's key. Rows with a null in a key never join in either form.
//!
//! What is not grouped: a child that has at most one row per key because its key is unique is joined as it is. A relation
//! like that may be joined with its siblings below, too, where its filters drop groups that would not join later (the
//! semi-joins of Yannakakis): having at most one row per key it changes no multiplicity.
//!
//! Numbers never overflow where the original's don't. A count of one relation's rows fits any counter that can address
//! the rows. At the root each row stands for rows of the original's join, so a product that overflows there, overflowed
//! in the original. In between it may not: a group with a large multiplicity need not join any further, so products
//! and sums of inner nodes have to be exact whatever their size.

use super::join_tree::{self, Joined};
use super::{JoinGraph, Relation, Set};

/// A join of relations and of grouped joins, itself grouped by `key` unless it is the root.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupedJoin {
    /// Relations that are joined as they are.
    pub relations: Set,
    /// Relations of its parent that it is joined with as well, so that groups they drop are not made.
    pub reducers: Set,
    /// The classes it shares with its parent; empty for the root.
    pub key: Set,
    /// Grouped joins that are joined with the relations, each on the classes of its key.
    pub children: Vec<GroupedJoin>,
    /// Estimated rows before grouping, without reducers.
    pub rows: f64,
}

impl GroupedJoin {
    /// Whether nothing is grouped below it.
    pub fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// Relations whose columns it can use.
    pub fn joined_relations(&self) -> Set {
        self.relations | self.reducers
    }

    /// Relations of the whole tree.
    pub fn all_relations(&self) -> Set {
        let below = self.children.iter().map(Self::all_relations);
        below.fold(self.relations, |all, relations| all | relations)
    }
}

impl Relation {
    /// Whether no two of its rows agree on these classes.
    fn has_key(&self, classes: Set) -> bool {
        self.unique.iter().any(|&unique| classes.contains_all(unique))
    }
}

impl JoinGraph {
    /// Trees of grouped joins, all kept relations in their roots, those estimated to take the least work first; each
    /// without reducers, then with them where there are any. None when nothing is to be grouped, or relations are not
    /// connected by equalities. Where rows are weighted, their numbers are used even if nothing else is grouped.
    ///
    /// Complexity: O(r³) for r relations whose join is acyclic.
    pub fn eager_aggregations(&self) -> Vec<GroupedJoin> {
        let is_small = self.relations.len() <= Set::CAPACITY && self.classes.len() <= Set::CAPACITY;
        let is_weighted = self.relations.iter().any(|relation| relation.is_weighted);
        if !is_small || (self.relations.len() < 2 && !is_weighted) {
            return Vec::new();
        }
        let Some(nodes) = join_tree::acyclic(self) else {
            return Vec::new();
        };
        let roots = nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.relations.contains_all(self.kept));
        let trees = roots.filter_map(|(root, _)| self.grouped(&nodes, root));
        let mut trees: Vec<(f64, GroupedJoin)> = trees
            .filter(|tree| is_weighted || !tree.is_leaf())
            .map(|tree| (self.cost(&tree), tree))
            .collect();
        trees.sort_by(|(cost, _), (other, _)| cost.total_cmp(other));
        trees
            .into_iter()
            .flat_map(|(_, tree)| {
                let reduced = Some(self.reduced(&tree)).filter(|reduced| *reduced != tree);
                std::iter::once(tree).chain(reduced)
            })
            .collect()
    }

    /// The tree with reducers wherever they can be.
    fn reduced(&self, node: &GroupedJoin) -> GroupedJoin {
        let available = node.relations | node.reducers;
        let reduces = |relation: usize, key: Set| {
            let known = self.relations.get(relation);
            known.is_some_and(|known| known.is_filtered && known.has_key(key))
        };
        let children = node.children.iter().map(|child| {
            let reducers = available
                .positions()
                .filter(|&relation| reduces(relation, child.key));
            self.reduced(&GroupedJoin {
                reducers: reducers.collect(),
                ..child.clone()
            })
        });
        GroupedJoin {
            children: children.collect(),
            ..node.clone()
        }
    }

    /// Whether a node has at most one row per key: it began as one relation, whose columns of the key are unique, and
    /// what was joined to it since has at most one row for each of its rows.
    fn is_unique(&self, own: Set, key: Set) -> bool {
        let mut relations = own.positions();
        let (Some(only), None) = (relations.next(), relations.next()) else {
            return false;
        };
        self.relations
            .get(only)
            .is_some_and(|relation| relation.has_key(key))
    }

    /// The tree with that root; a child with a unique key is joined as it is, and its children become its parent's.
    fn grouped(&self, nodes: &[Joined], root: usize) -> Option<GroupedJoin> {
        let tree = join_tree::spanning_tree(nodes, root)?;
        let mut built: Vec<Option<GroupedJoin>> = vec![None; nodes.len()];
        for &(at, parent) in tree.order.iter().rev() {
            let node = nodes.get(at)?;
            let key = parent
                .and_then(|parent| nodes.get(parent))
                .map_or(Set::default(), |parent| parent.classes & node.classes);
            let mut joined = GroupedJoin {
                relations: node.relations,
                reducers: Set::default(),
                key,
                children: Vec::new(),
                rows: 0.0,
            };
            for &(child, _) in tree.order.iter().filter(|&&(_, above)| above == Some(at)) {
                let below = built.get_mut(child)?.take()?;
                if self.is_unique(nodes.get(child)?.relations, below.key) {
                    joined.relations = joined.relations | below.relations;
                    joined.children.extend(below.children);
                } else {
                    joined.children.push(below);
                }
            }
            joined.rows = self.joined(joined.relations).rows;
            *built.get_mut(at)? = Some(joined);
        }
        built.get_mut(root)?.take()
    }

    /// The plain join of some relations.
    pub(super) fn joined(&self, relations: Set) -> Joined {
        let mut joined = Joined {
            relations,
            classes: Set::default(),
            rows: 1.0,
        };
        for relation in relations.positions() {
            joined.rows *= self
                .relations
                .get(relation)
                .map_or(1.0, |relation| relation.rows.max(1.0));
        }
        for (class, members) in self.classes.iter().enumerate() {
            let mut distinct: Vec<f64> = relations
                .positions()
                .filter_map(|relation| self.distinct(members, relation))
                .collect();
            if distinct.is_empty() {
                continue;
            }
            joined.classes = joined.classes | Set::one(class);
            // Each equality keeps one pair in as many as the larger side has values.
            distinct.sort_by(f64::total_cmp);
            joined.rows /= distinct.iter().skip(1).product::<f64>();
        }
        joined.rows = joined.rows.max(1.0);
        joined
    }

    /// Estimated values of a class in one relation that has it.
    fn distinct(&self, members: &[super::Member], relation: usize) -> Option<f64> {
        let rows = self.relations.get(relation)?.rows;
        let of_relation = members.iter().filter(|member| member.relation == relation);
        of_relation
            .map(|member| member.distinct.min(rows).max(1.0))
            .min_by(f64::total_cmp)
    }

    /// Estimated groups of a node.
    fn groups(&self, node: &GroupedJoin) -> f64 {
        let values = self
            .classes
            .iter()
            .enumerate()
            .filter(|&(class, _)| node.key.contains(class))
            .filter_map(|(_, members)| {
                let of_relations = node.relations.positions();
                of_relations
                    .filter_map(|relation| self.distinct(members, relation))
                    .min_by(f64::total_cmp)
            });
        values.product::<f64>().min(node.rows)
    }

    /// Work below a node and in it, in look-ups in hash tables: one for each row and joined side, one for each row that
    /// is grouped; each side but the largest is hashed first. Reading the relations is the same in every tree.
    fn cost(&self, node: &GroupedJoin) -> f64 {
        let sides = (node.relations.len() + node.children.len()).saturating_sub(1) as f64;
        let own = node
            .relations
            .positions()
            .filter_map(|relation| self.relations.get(relation))
            .map(|relation| relation.rows);
        let hashed = own.clone().sum::<f64>() - own.fold(0.0, f64::max);
        let children = node.children.iter();
        let below = children.map(|child| self.cost(child) + child.rows + self.groups(child));
        node.rows * sides + hashed + below.sum::<f64>()
    }
}
