//! Rewritten joins against the joins as they were written, over random tables.

mod relational;

use relational::{Join, Random};
use ruvector_dag::rewrite::{GroupedJoin, JoinGraph, Member, Relation, Set};

const CASES: u64 = 4_000;

/// The tree of the least work.
fn first(graph: &JoinGraph) -> Option<GroupedJoin> {
    graph.eager_aggregations().into_iter().next()
}

fn has_reducers(node: &GroupedJoin) -> bool {
    !node.reducers.is_empty() || node.children.iter().any(has_reducers)
}

fn depth(node: &GroupedJoin) -> usize {
    1 + node.children.iter().map(depth).max().unwrap_or(0)
}

#[test]
fn counts_and_carried_sums_are_those_of_the_plain_join() {
    let (mut rewritten, mut deep, mut joined_first, mut reduced, mut joined) = (0, 0, 0, 0, 0);
    for seed in 0..CASES {
        let random = &mut Random(seed);
        let columns = 2 + random.below(2) as usize;
        let join = Join::random(random, 6, columns);
        let graph = join.graph();
        let plain = join.plain();
        for root in graph.eager_aggregations() {
            assert!(root.relations.contains_all(graph.kept), "{seed}: {root:?}");
            assert_eq!(
                root.all_relations().len(),
                graph.relations.len(),
                "{seed}: {root:?}"
            );
            let found = join.rewritten(&root, i128::MAX);
            assert_eq!(found.as_ref(), Some(&plain), "{seed}: {join:?} {root:?}");
            rewritten += 1;
            deep += u32::from(depth(&root) > 2);
            joined_first += u32::from(root.children.iter().any(|child| child.relations.len() > 1));
            reduced += u32::from(has_reducers(&root));
            joined += u32::from(!plain.is_empty());
        }
    }
    println!(
        "{rewritten} rewritten, {deep} deep, {joined_first} with joins below, {reduced} reduced, {joined} not empty"
    );
    assert!(rewritten > 9_000 && deep > 2_000 && joined_first > 2_000 && reduced > 1_000 && joined > 3_000);
}

#[test]
fn products_overflow_at_the_root_only_where_the_count_does() {
    let mut overflown = 0;
    for seed in 0..CASES {
        let join = Join::random(&mut Random(!seed), 6, 2);
        let Some(root) = first(&join.graph()) else {
            continue;
        };
        let limit = i128::from(seed % 10);
        let total = join.plain().values().map(|group| group.rows).sum::<i128>();
        let rewritten = join
            .rewritten(&root, limit)
            .map(|groups| groups.values().map(|group| group.rows).sum::<i128>());
        match rewritten {
            Some(found) => assert_eq!(found, total, "{seed}"),
            None => assert!(total > limit, "{seed}: {total} fits {limit}"),
        }
        overflown += u32::from(rewritten.is_none());
    }
    assert!(overflown > 100, "{overflown}");
}

/// Relations of these rows, joined on classes of (relation, distinct values).
fn graph(rows: &[f64], classes: &[&[(usize, f64)]]) -> JoinGraph {
    let relation = |&rows: &f64| Relation {
        rows,
        is_filtered: false,
        is_weighted: false,
        unique: Vec::new(),
    };
    let member = |&(relation, distinct): &(usize, f64)| Member { relation, distinct };
    JoinGraph {
        relations: rows.iter().map(relation).collect(),
        classes: classes
            .iter()
            .map(|class| class.iter().map(member).collect())
            .collect(),
        ..JoinGraph::default()
    }
}

#[test]
fn a_star_is_counted_at_its_unique_centre() {
    let class: &[(usize, f64)] = &[(0, 40_000.0), (1, 20_000.0), (2, 9_000.0)];
    let mut graph = graph(&[40_000.0, 170_000.0, 340_000.0], &[class]);
    graph.relations[0].unique.push(Set::one(0));
    let root = first(&graph).expect("two sides to group");
    assert_eq!(root.relations, Set::one(0));
    assert!(root.children.iter().all(GroupedJoin::is_leaf));
    assert_eq!(root.children.len(), 2);
}

#[test]
fn a_relation_with_a_unique_key_is_joined_as_it_is() {
    // Users, their posts, the posts' comments and votes.
    let users: &[(usize, f64)] = &[(0, 40_000.0), (1, 20_000.0)];
    let posts: &[(usize, f64)] = &[(1, 90_000.0), (2, 60_000.0), (3, 80_000.0)];
    let mut graph = graph(&[40_000.0, 90_000.0, 170_000.0, 340_000.0], &[users, posts]);
    graph.relations[0].unique.push(Set::one(0));
    graph.relations[1].unique.push(Set::one(1));
    let root = first(&graph).expect("two sides to group");
    assert_eq!(root.relations, [0, 1].into_iter().collect());
    assert_eq!(root.children.len(), 2);
}

#[test]
fn a_cycle_is_joined_before_it_is_grouped() {
    let rows = [100.0, 100.0, 100.0, 1_000.0];
    let graph = graph(
        &rows,
        &[
            &[(0, 50.0), (1, 50.0), (3, 50.0)],
            &[(1, 50.0), (2, 50.0)],
            &[(2, 50.0), (0, 50.0)],
        ],
    );
    let root = first(&graph).expect("an acyclic form");
    assert_eq!(root.all_relations().len(), 4);
}

#[test]
fn what_has_nothing_to_group_is_left_alone() {
    assert_eq!(first(&JoinGraph::default()), None);
    assert_eq!(first(&graph(&[5.0], &[])), None);
    // A cross join.
    assert_eq!(first(&graph(&[5.0, 5.0], &[])), None);
    // Everything is needed as it is.
    let mut kept = graph(&[5.0, 5.0], &[&[(0, 5.0), (1, 5.0)]]);
    kept.kept = [0, 1].into_iter().collect();
    assert_eq!(first(&kept), None);
    // More relations than a set holds.
    let many: Vec<(usize, f64)> = (0..65).map(|at| (at, 5.0)).collect();
    assert_eq!(first(&graph(&[5.0; 65], &[&many])), None);
}
