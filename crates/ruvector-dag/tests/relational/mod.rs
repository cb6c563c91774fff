//! A tiny relational evaluator: random tables and joins, evaluated by trying all combinations of rows.

use ruvector_dag::rewrite::{GroupedJoin, JoinGraph, Member, Relation, Set};
use std::collections::{BTreeMap, HashSet};

/// A seeded source of numbers (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn position(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }
}

/// A value; `None` is NULL.
type Value = Option<u8>;
/// A row of each relation that is joined, by relation.
type Rows = BTreeMap<usize, usize>;
/// Joined rows by the rows of the kept relations.
pub(crate) type Groups = BTreeMap<Rows, Group>;

/// Joined rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// How many they are.
    pub(crate) rows: i128,
    /// The sum of the carried column over them, without nulls.
    pub(crate) sum: i128,
}

/// Tables, equalities between their columns, and other conditions.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) tables: Vec<Vec<Vec<Value>>>,
    /// Columns that are equal, as (table, column).
    classes: Vec<Vec<(usize, usize)>>,
    /// Tables whose last columns have to differ, or be smaller from left to right.
    links: Vec<(usize, usize)>,
    kept: Set,
    /// The table and column that is summed up.
    summed: (usize, usize),
}

impl Join {
    /// Up to `most` tables of up to six rows and `columns` columns, with NULLs and duplicates.
    pub(crate) fn random(random: &mut Random, most: usize, columns: usize) -> Self {
        let count = 2 + random.position(most - 1);
        let values = 1 + random.below(4);
        let tables = (0..count)
            .map(|_| {
                let rows = random.position(8).min(6);
                let is_key = random.below(4) == 0;
                let row = |at: usize, random: &mut Random| {
                    let mut row: Vec<Value> = (0..columns)
                        .map(|_| (random.below(12) > 0).then(|| random.below(values) as u8))
                        .collect();
                    if is_key {
                        row[0] = Some(at as u8);
                    }
                    row
                };
                (0..rows).map(|at| row(at, random)).collect()
            })
            .collect();
        let links = (0..random.below(8) / 6)
            .map(|_| (random.position(count), random.position(count)))
            .filter(|(one, other)| one != other);
        Self {
            tables,
            links: links.collect(),
            kept: (0..count).filter(|_| random.below(6) == 0).collect(),
            classes: classes(random, count, columns),
            summed: (random.position(count), random.position(columns)),
        }
    }

    /// The join as the engine sees it.
    pub(crate) fn graph(&self) -> JoinGraph {
        let relation = |table: usize| Relation {
            rows: self.tables[table].len() as f64,
            is_filtered: table.is_multiple_of(2),
            is_weighted: false,
            unique: self.unique(table),
        };
        let member = |&(table, column): &(usize, usize)| {
            let values: HashSet<Value> = self.tables[table].iter().map(|row| row[column]).collect();
            Member {
                relation: table,
                distinct: values.len() as f64,
            }
        };
        JoinGraph {
            relations: (0..self.tables.len()).map(relation).collect(),
            classes: self
                .classes
                .iter()
                .map(|class| class.iter().map(member).collect())
                .collect(),
            links: self
                .links
                .iter()
                .map(|&(one, other)| [one, other].into_iter().collect())
                .collect(),
            kept: self.kept,
        }
    }

    /// Single classes and pairs of them that are unique in a table.
    fn unique(&self, table: usize) -> Vec<Set> {
        let columns: Vec<(usize, usize)> = self
            .classes
            .iter()
            .enumerate()
            .flat_map(|(class, members)| members.iter().map(move |&(table, column)| (class, table, column)))
            .filter(|&(_, of, _)| of == table)
            .map(|(class, _, column)| (class, column))
            .collect();
        let pairs = columns
            .iter()
            .flat_map(|&one| columns.iter().map(move |&other| [one, other]));
        let is_unique = |pair: &[(usize, usize); 2]| {
            let mut seen = HashSet::new();
            let keys = self.tables[table]
                .iter()
                .map(|row| pair.map(|(_, column)| row[column]));
            // As in SQL, a null is equal to nothing.
            keys.filter(|key| !key.contains(&None))
                .all(|key| seen.insert(key))
        };
        pairs
            .filter(is_unique)
            .map(|pair| pair.map(|(class, _)| class).into_iter().collect())
            .collect()
    }

    /// The join as it was written.
    pub(crate) fn plain(&self) -> Groups {
        let whole = GroupedJoin {
            relations: (0..self.tables.len()).collect(),
            reducers: Set::default(),
            key: Set::default(),
            children: Vec::new(),
            rows: 0.0,
        };
        self.rewritten(&whole, i128::MAX).expect("no limit")
    }

    /// The join as it was rewritten; `None` when a product of the root's rows exceeds `limit`.
    pub(crate) fn rewritten(&self, root: &GroupedJoin, limit: i128) -> Option<Groups> {
        let mut groups = Groups::new();
        let mut is_exceeded = false;
        let children = self.children(root);
        self.each(root, &children, &mut |rows, sides| {
            let mut product = 1;
            for side in sides {
                product *= side.rows;
                is_exceeded |= product > limit;
            }
            self.add(groups.entry(self.kept_rows(rows)).or_default(), root, rows, sides);
        });
        (!is_exceeded).then_some(groups)
    }

    /// Adds a row of a node's own relations, joined with those sides.
    fn add(&self, group: &mut Group, node: &GroupedJoin, rows: &Rows, sides: &[Group]) {
        let product = |except: Option<usize>| {
            let others = sides.iter().enumerate().filter(|&(at, _)| Some(at) != except);
            others.map(|(_, side)| side.rows).product::<i128>()
        };
        group.rows += product(None);
        let (table, column) = self.summed;
        if node.relations.contains(table) {
            let value = self.tables[table][rows[&table]][column];
            group.sum += i128::from(value.unwrap_or(0)) * product(None);
            return;
        }
        let below = |child: &GroupedJoin| child.all_relations().contains(table);
        if let Some(at) = node.children.iter().position(below) {
            group.sum += sides[at].sum * product(Some(at));
        }
    }

    fn kept_rows(&self, rows: &Rows) -> Rows {
        let kept = rows.iter().filter(|(table, _)| self.kept.contains(**table));
        kept.map(|(&table, &row)| (table, row)).collect()
    }

    /// The grouped joins below a node.
    fn children(&self, node: &GroupedJoin) -> Vec<Grouped> {
        let children = node.children.iter();
        children
            .map(|child| Grouped {
                key: child.key.positions().collect(),
                groups: self.grouped(child),
            })
            .collect()
    }

    fn grouped(&self, node: &GroupedJoin) -> BTreeMap<Vec<Value>, Group> {
        let mut groups = BTreeMap::new();
        let children = self.children(node);
        self.each(node, &children, &mut |rows, sides| {
            let of_node = |&&(table, _): &&(usize, usize)| node.joined_relations().contains(table);
            let key = node.key.positions().map(|class| {
                let &(table, column) = self.classes[class]
                    .iter()
                    .find(of_node)
                    .expect("a column of the key");
                self.tables[table][rows[&table]][column]
            });
            self.add(groups.entry(key.collect()).or_default(), node, rows, sides);
        });
        groups
    }

    /// Calls `found` for each row of the join of a node's own relations with its children.
    fn each(&self, node: &GroupedJoin, children: &[Grouped], found: &mut dyn FnMut(&Rows, &[Group])) {
        let mut partial: Vec<(Rows, Vec<Group>, BTreeMap<usize, u8>)> =
            vec![(Rows::new(), Vec::new(), BTreeMap::new())];
        for table in node.joined_relations().positions() {
            let mut next = Vec::new();
            for (rows, sides, values) in &partial {
                for (at, row) in self.tables[table].iter().enumerate() {
                    let columns = self.classes.iter().enumerate().flat_map(|(class, members)| {
                        let own = members.iter().filter(|&&(of, _)| of == table);
                        own.map(move |&(_, column)| (class, column))
                    });
                    // A class with one column in the node equates nothing yet, so its nulls stay.
                    let uses = |class: usize| {
                        let of_relations = self.classes[class]
                            .iter()
                            .filter(|(of, _)| node.joined_relations().contains(*of));
                        of_relations.count()
                            + children.iter().filter(|child| child.key.contains(&class)).count()
                    };
                    let equated = columns.filter(|&(class, _)| uses(class) > 1);
                    let mut values = values.clone();
                    if agree(&mut values, equated.map(|(class, column)| (class, row[column]))) {
                        let mut rows = rows.clone();
                        rows.insert(table, at);
                        next.push((rows, sides.clone(), values));
                    }
                }
            }
            partial = next;
        }
        for child in children {
            let mut next = Vec::new();
            for (rows, sides, values) in &partial {
                for (key, &side) in &child.groups {
                    let mut values = values.clone();
                    if agree(&mut values, child.key.iter().copied().zip(key.iter().copied())) {
                        let mut sides = sides.clone();
                        sides.push(side);
                        next.push((rows.clone(), sides, values));
                    }
                }
            }
            partial = next;
        }
        for (rows, sides, _) in &partial {
            if self.are_linked(rows) {
                found(rows, sides);
            }
        }
    }

    /// Whether the other conditions between tables that are all here hold.
    fn are_linked(&self, rows: &Rows) -> bool {
        self.links.iter().all(|(one, other)| {
            let last = |table: &usize| Some(self.tables[*table][*rows.get(table)?].last().copied().flatten());
            match (last(one), last(other)) {
                (Some(one), Some(other)) => one.zip(other).is_some_and(|(one, other)| one < other),
                _ => true,
            }
        })
    }
}

/// Groups by the values of the classes of a key.
struct Grouped {
    key: Vec<usize>,
    groups: BTreeMap<Vec<Value>, Group>,
}

/// Whether each class has one value, none of them null; notes new ones.
fn agree(values: &mut BTreeMap<usize, u8>, found: impl Iterator<Item = (usize, Value)>) -> bool {
    for (class, value) in found {
        let Some(value) = value else {
            return false;
        };
        if *values.entry(class).or_insert(value) != value {
            return false;
        }
    }
    true
}

/// Random equalities, most of them along a tree of the tables.
fn classes(random: &mut Random, tables: usize, columns: usize) -> Vec<Vec<(usize, usize)>> {
    let mut classes: Vec<Vec<(usize, usize)>> = (0..tables * columns)
        .map(|at| vec![(at / columns, at % columns)])
        .collect();
    let mut equate = |one: (usize, usize), other: (usize, usize)| {
        let holds = |column| move |class: &Vec<(usize, usize)>| class.contains(&column);
        let at = classes.iter().position(holds(one)).expect("a column");
        let class = classes.remove(at);
        match classes.iter().position(holds(other)) {
            Some(to) => classes[to].extend(class),
            None => classes.push(class),
        }
    };
    for table in 1..tables {
        let other = random.position(table);
        equate(
            (table, random.position(columns)),
            (other, random.position(columns)),
        );
    }
    for _ in 0..random.below(3) {
        let (one, other) = (random.position(tables), random.position(tables));
        equate((one, random.position(columns)), (other, random.position(columns)));
    }
    classes.retain(|class| class.len() > 1);
    classes
}
