//! The joins of a statement as the engine sees them: sizes, distinct values and unique keys out of the catalog.

use super::super::{compat, list};
use super::classes::Class;
use super::{Joins, attached, grouped, make, pattern};
use engine::rewrite::{JoinGraph, Member, Relation, Set};
use pgrx::pg_sys;
use pgrx::pg_sys::Oid;

/// Rows of a table nobody has analysed.
const UNKNOWN_ROWS: f64 = 1000.0;
/// Share of rows that a condition on one relation is taken to keep: the planner knows better, but plans later.
const KEPT_BY_CONDITION: f64 = 0.5;
/// Values of a column without statistics, as PostgreSQL assumes.
const UNKNOWN_DISTINCT: f64 = 200.0;

/// The engine's view of the joins, of which the result needs these relations as they are.
///
/// # Safety
/// The statement is valid and its tables are locked.
pub(super) unsafe fn graph(joins: &Joins, kept: Set) -> JoinGraph {
    // SAFETY: by the caller's promise.
    unsafe {
        let tables: Vec<Table> = (0..joins.relations.len())
            .map(|relation| table(grouped::entry(joins, relation)))
            .collect();
        let classes = joins.classes.iter().map(|class| {
            let columns = class.columns.iter().map(|column| Member {
                relation: column.relation,
                distinct: tables
                    .get(column.relation)
                    .map_or(UNKNOWN_DISTINCT, |table| distinct(table, (*column.var).varattno)),
            });
            columns.collect()
        });
        let links = joins.conditions.iter().map(|condition| condition.relations);
        let relations = tables.iter().enumerate().map(|(relation, table)| {
            let own = Set::one(relation);
            let of_relation = joins
                .conditions
                .iter()
                .filter(|condition| condition.relations == own);
            let conditions = of_relation.count();
            let mut attached = joins.attached.iter().filter(|side| side.relation == relation);
            let is_multiplied = attached
                .clone()
                .any(|side| side.grouped.is_none() && !side.is_unique);
            Relation {
                rows: (table.rows * KEPT_BY_CONDITION.powi(conditions as i32)).max(1.0),
                is_filtered: conditions > 0 && attached.next().is_none(),
                is_weighted: attached::is_weighted(joins, relation),
                unique: match is_multiplied {
                    true => Vec::new(),
                    false => unique_keys(joins, relation, table),
                },
            }
        });
        JoinGraph {
            classes: classes.collect(),
            links: links.filter(|link| link.len() > 1).collect(),
            relations: relations.collect(),
            kept,
        }
    }
}

/// Whether a table's children are read with it.
unsafe fn has_children(entry: *mut pg_sys::RangeTblEntry) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { table(entry).has_children }
}

/// A relation of the statement.
struct Table {
    /// None for what is not a table.
    relid: Oid,
    /// Whether its children are read with it, and statistics cover them.
    has_children: bool,
    /// Whether a unique index is one of all its rows.
    has_whole_indexes: bool,
    rows: f64,
}

unsafe fn table(entry: *mut pg_sys::RangeTblEntry) -> Table {
    // SAFETY: an entry of the statement; a syscache lookup, released after the tuple was read.
    unsafe {
        let relid = (*entry).relid;
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(relid));
        let mut rows = UNKNOWN_ROWS;
        let (mut has_children, mut is_partitioned) = (false, false);
        if !tuple.is_null() {
            let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
            if (*form).reltuples > 0.0 {
                rows = f64::from((*form).reltuples);
            }
            has_children = (*form).relhassubclass && (*entry).inh;
            is_partitioned = (*form).relkind as u8 == pg_sys::RELKIND_PARTITIONED_TABLE;
            pg_sys::ReleaseSysCache(tuple);
        }
        Table {
            relid,
            has_children,
            // A partitioned table's unique indexes are those of all its partitions; inheritance has none like that.
            has_whole_indexes: is_partitioned || !has_children,
            rows,
        }
    }
}

/// How many values a column has.
unsafe fn distinct(table: &Table, attribute: pg_sys::AttrNumber) -> f64 {
    // SAFETY: a syscache lookup, released after the tuple was read.
    unsafe {
        let tuple = pg_sys::SearchSysCache3(
            pg_sys::SysCacheIdentifier::STATRELATTINH as i32,
            pg_sys::Datum::from(table.relid),
            pg_sys::Datum::from(attribute),
            pg_sys::Datum::from(table.has_children),
        );
        if tuple.is_null() {
            return UNKNOWN_DISTINCT.min(table.rows);
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_statistic>();
        let known = f64::from((*form).stadistinct);
        pg_sys::ReleaseSysCache(tuple);
        match known {
            share if share < 0.0 => -share * table.rows,
            0.0 => UNKNOWN_DISTINCT.min(table.rows),
            number => number,
        }
    }
}

/// Sets of classes whose columns in a table are a unique key. As the planner's own removal of joins, a plan made by
/// them depends on the table, so that it is made again when an index goes.
unsafe fn unique_keys(joins: &Joins, relation: usize, table: &Table) -> Vec<Set> {
    let class = |compared: Compared| {
        let has = |class: &Class| {
            compared.is_by(class)
                && class
                    .columns_of(Set::one(relation))
                    // SAFETY: a column of the statement.
                    .any(|column| unsafe { (*column.var).varattno } == compared.attribute)
        };
        joins.classes.iter().position(has)
    };
    // SAFETY: by the caller's promise.
    unsafe { keys_of(table, &class) }
}

/// Whether no two rows of a table agree on columns, each compared as its class does.
///
/// # Safety
/// An item of FROM of the statement, whose tables are locked; columns of it.
pub(super) unsafe fn is_unique(
    query: *mut pg_sys::Query,
    item: *mut pg_sys::Node,
    keys: Vec<(&Class, *const pg_sys::Var)>,
) -> bool {
    let class = |compared: Compared| {
        let has = |&(class, var): &(&Class, *const pg_sys::Var)| {
            // SAFETY: a column of the item.
            compared.is_by(class) && unsafe { (*var).varattno } == compared.attribute
        };
        keys.iter().position(has)
    };
    // SAFETY: the cast follows the node's tag.
    unsafe {
        list::tag(item) == pg_sys::NodeTag::T_RangeTblRef && {
            let entry = make::entry(query, (*item.cast::<pg_sys::RangeTblRef>()).rtindex);
            is_distinct(entry, &keys) || !keys_of(&table(entry), &class).is_empty()
        }
    }
}

/// Whether an entry is a subquery that groups by these columns, or gives distinct ones.
unsafe fn is_distinct(entry: *mut pg_sys::RangeTblEntry, keys: &[(&Class, *const pg_sys::Var)]) -> bool {
    // SAFETY: by the caller's promise; type cache entries are never freed.
    unsafe {
        let query = (*entry).subquery;
        if (*entry).rtekind != pg_sys::RTEKind::RTE_SUBQUERY || !pg_sys::query_supports_distinctness(query) {
            return false;
        }
        let (mut columns, mut operators) = (core::ptr::null_mut(), core::ptr::null_mut());
        for &(_, var) in keys {
            let flags = pg_sys::TYPECACHE_EQ_OPR;
            let known = pg_sys::lookup_type_cache((*var).vartype, flags as i32);
            columns = pg_sys::lappend_int(columns, core::ffi::c_int::from((*var).varattno));
            operators = pg_sys::lappend_oid(operators, (*known).eq_opr);
        }
        pg_sys::query_is_distinct_for(query, columns, operators)
    }
}

/// An equality of a column with what another row or relation has.
#[derive(Clone, Copy)]
pub(super) struct Equality {
    pub(super) attribute: pg_sys::AttrNumber,
    pub(super) operator: Oid,
    pub(super) collation: Oid,
}

/// The unique keys of a table of which each column is in an equality that compares as the key does: positions of these.
///
/// # Safety
/// An entry of the statement, whose tables are locked.
pub(super) unsafe fn keys_among(entry: *mut pg_sys::RangeTblEntry, equalities: &[Equality]) -> Vec<Set> {
    // SAFETY: a catalog lookup.
    let strategy = |operator, family| unsafe { pg_sys::get_op_opfamily_strategy(operator, family) };
    let class = |compared: Compared| {
        let is_equal = |equality: &Equality| {
            (equality.attribute, equality.collation) == (compared.attribute, compared.collation)
                && strategy(equality.operator, compared.family) == pg_sys::BTEqualStrategyNumber as i32
        };
        equalities.iter().position(is_equal)
    };
    // SAFETY: by the caller's promise.
    unsafe { keys_of(&table(entry), &class) }
}

/// Whether a subquery gives no two rows that agree on columns, compared like this.
///
/// # Safety
/// An entry of the statement that is a subquery.
pub(super) unsafe fn is_distinct_by(entry: *mut pg_sys::RangeTblEntry, equalities: &[Equality]) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        let query = (*entry).subquery;
        if !pg_sys::query_supports_distinctness(query) {
            return false;
        }
        let (mut columns, mut operators) = (core::ptr::null_mut(), core::ptr::null_mut());
        for equality in equalities {
            let mut targets = list::pointers::<pg_sys::TargetEntry>((*query).targetList);
            let is_compared_so = |target: *mut pg_sys::TargetEntry| {
                (*target).resno == equality.attribute
                    && pg_sys::exprCollation((*target).expr.cast()) == equality.collation
            };
            if targets.any(is_compared_so) {
                columns = pg_sys::lappend_int(columns, core::ffi::c_int::from(equality.attribute));
                operators = pg_sys::lappend_oid(operators, equality.operator);
            }
        }
        pg_sys::query_is_distinct_for(query, columns, operators)
    }
}

/// Whether no row of a table has a null in a column. Children may have dropped what their parent says, foreign ones never
/// kept it.
///
/// # Safety
/// An entry of the statement.
pub(super) unsafe fn is_not_null(entry: *mut pg_sys::RangeTblEntry, attribute: pg_sys::AttrNumber) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION
            && pattern::is_plain_table(&*entry)
            && !has_children(entry)
            && compat::is_declared_not_null((*entry).relid, attribute)
    }
}

/// A column of an index and how it is compared there.
struct Compared {
    attribute: pg_sys::AttrNumber,
    family: Oid,
    collation: Oid,
}

impl Compared {
    fn is_by(&self, class: &Class) -> bool {
        class.family == self.family && class.collation == self.collation
    }
}

/// The unique keys of a table whose columns all have a class.
unsafe fn keys_of(table: &Table, class: &dyn Fn(Compared) -> Option<usize>) -> Vec<Set> {
    if !table.has_whole_indexes || table.relid == pg_sys::InvalidOid {
        return Vec::new();
    }
    // SAFETY: the table is locked since the statement was analysed; indexes are locked as the planner locks them.
    unsafe {
        let opened = pg_sys::table_open(table.relid, pg_sys::NoLock as i32);
        let indexes = pg_sys::RelationGetIndexList(opened);
        let keys = (0..list::length(indexes)).filter_map(|at| {
            let index = (*(*indexes).elements.add(at)).oid_value;
            let index = pg_sys::index_open(index, pg_sys::AccessShareLock as i32);
            let key = unique_key(index, class);
            pg_sys::index_close(index, pg_sys::NoLock as i32);
            key
        });
        let keys = keys.collect();
        pg_sys::table_close(opened, pg_sys::NoLock as i32);
        keys
    }
}

/// The classes of a unique index's columns; `None` when it is none, not for all rows, or not enforced at once, or when
/// a column is in no class that compares as the index does.
unsafe fn unique_key(index: pg_sys::Relation, class: &dyn Fn(Compared) -> Option<usize>) -> Option<Set> {
    // SAFETY: an open index; its arrays have as many elements as it has key columns.
    unsafe {
        let form = &*(*index).rd_index;
        let is_btree = (*(*index).rd_rel).relam == pg_sys::BTREE_AM_OID;
        let is_enforced = form.indisunique && form.indimmediate && form.indisvalid;
        if !is_btree || !is_enforced || !pg_sys::RelationGetIndexPredicate(index).is_null() {
            return None;
        }
        let columns = usize::try_from(form.indnkeyatts).ok()?;
        let attributes = form.indkey.values.as_slice(columns);
        let mut classes = Set::default();
        for (at, &attribute) in attributes.iter().enumerate() {
            let compared = Compared {
                attribute,
                family: *(*index).rd_opfamily.add(at),
                collation: *(*index).rd_indcollation.add(at),
            };
            classes = classes | Set::one(class(compared)?);
        }
        Some(classes)
    }
}
