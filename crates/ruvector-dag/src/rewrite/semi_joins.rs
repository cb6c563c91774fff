//! Which relations of a join need only be asked whether they have a partner, where the result has each row once
//! (Bernstein and Chiu 1981; Pirahesh, Hellerstein and Hasan 1992).
//!
//! ```text
//! SELECT DISTINCT u.name FROM u, p, c, t WHERE u.id = p.owner AND p.id = c.post AND u.id = t.user
//!
//!     u          needed by the result
//!     ├─ p, c    one semi-join: they are connected with each other
//!     └─ t       another one
//! ```
//!
//! A joined row is in the result if there is any combination of the others that it joins with. Relations that are connected
//! have to be found together; those that are not, one by one, since the conditions on the one don't mention the other.

use super::Set;
use std::ops::BitOr;

/// A condition of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// What it mentions.
    pub relations: Set,
    /// Whether it can't mention relations on both sides of a semi-join.
    pub is_whole: bool,
}

impl Link {
    fn touches(self, relations: Set) -> bool {
        !(self.relations & relations).is_empty()
    }
}

/// Sides of semi-joins with what is left of the first `relations` relations, of which the result needs some. What connects
/// relations that nothing else connects stays: without it their join would be a product. What is connected with nothing
/// that is left stays, too.
///
/// Complexity: O(r · r · l) for r relations and l conditions, each round keeping one relation more.
pub fn semi_joins(relations: usize, links: &[Link], needed: Set) -> Vec<Set> {
    let mut kept = needed;
    loop {
        let others: Set = (0..relations)
            .filter(|&relation| !kept.contains(relation))
            .collect();
        let inside = links.iter().filter(|link| kept.contains_all(link.relations));
        let groups = connected(kept, inside.map(|link| link.relations));
        let sides = connected(others, links.iter().map(|link| link.relations & others));
        match sides.iter().find_map(|&side| stays(side, links, &groups)) {
            Some(more) => kept = kept | more,
            None => return sides,
        }
    }
}

/// What of a side has to stay with the groups of relations that are left; `None` if nothing has to.
fn stays(side: Set, links: &[Link], groups: &[Set]) -> Option<Set> {
    let kept = union(groups.iter().copied());
    let between = links
        .iter()
        .filter(|link| link.touches(side) && link.touches(kept));
    if let Some(whole) = between.clone().find(|link| link.is_whole) {
        return Some(whole.relations);
    }
    let touched = groups
        .iter()
        .filter(|&&group| between.clone().any(|link| link.touches(group)));
    match touched.count() {
        0 => Some(side),
        1 => None,
        _ => Some(union(between.map(|link| link.relations & side))),
    }
}

/// The relations in groups of those that links connect.
fn connected(relations: Set, links: impl Iterator<Item = Set>) -> Vec<Set> {
    let alone = relations.positions().map(Set::one).collect();
    links.fold(alone, |groups: Vec<Set>, link| {
        let (joined, mut groups): (Vec<Set>, Vec<Set>) =
            groups.into_iter().partition(|&group| !(group & link).is_empty());
        groups.extend(joined.into_iter().reduce(BitOr::bitor));
        groups
    })
}

fn union(sets: impl Iterator<Item = Set>) -> Set {
    sets.fold(Set::default(), BitOr::bitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(relations: &[usize]) -> Set {
        relations.iter().copied().collect()
    }

    fn links(conditions: &[&[usize]]) -> Vec<Link> {
        let links = conditions.iter().map(|relations| Link {
            relations: set(relations),
            is_whole: false,
        });
        links.collect()
    }

    #[test]
    fn relations_that_are_connected_are_one_side_and_others_are_others() {
        let links = links(&[&[0, 1], &[1, 2], &[0, 3], &[3]]);
        assert_eq!(semi_joins(4, &links, set(&[0])), [set(&[1, 2]), set(&[3])]);
    }

    #[test]
    fn what_connects_needed_relations_stays_and_what_hangs_on_it_does_not() {
        let links = links(&[&[0, 1], &[1, 2], &[1, 3], &[3, 4]]);
        assert_eq!(semi_joins(5, &links, set(&[0, 2])), [set(&[3, 4])]);
    }

    #[test]
    fn a_condition_on_two_needed_relations_and_another_connects_them() {
        assert!(semi_joins(3, &links(&[&[0, 1, 2]]), set(&[0, 1])).is_empty());
        let joined = links(&[&[0, 1, 2], &[0, 1]]);
        assert_eq!(semi_joins(3, &joined, set(&[0, 1])), [set(&[2])]);
    }

    #[test]
    fn what_is_connected_with_nothing_stays() {
        assert!(semi_joins(2, &[], set(&[0])).is_empty());
        assert!(semi_joins(2, &links(&[&[0, 1]]), set(&[])).is_empty());
        let apart = links(&[&[0, 1], &[2, 3]]);
        assert_eq!(semi_joins(4, &apart, set(&[0])), [set(&[1])]);
    }

    #[test]
    fn a_condition_that_is_whole_is_on_one_side() {
        let mut links = links(&[&[0, 1], &[1, 2], &[0, 1, 2]]);
        links[2].is_whole = true;
        assert!(semi_joins(3, &links, set(&[0])).is_empty());
        links[2].relations = set(&[1, 2]);
        assert_eq!(semi_joins(3, &links, set(&[0])), [set(&[1, 2])]);
    }
}
