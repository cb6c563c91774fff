//! Which tables are learned from: all, but those that were disabled; or, when some were enabled, those.
//!
//! A session keeps what `dag_tables` says until PostgreSQL tells it that this table, or one that is named in it, changed.

use crate::pg::scope;
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

/// What is said of tables. A table counts as said of when one of its partitions is: which of them a statement reads is
/// known too late.
#[derive(Default)]
struct Scope {
    enabled: HashSet<u32>,
    disabled: HashSet<u32>,
}

struct Known {
    scope: Option<Rc<Scope>>,
    /// Tables on which it depends.
    tables: HashSet<u32>,
}

thread_local! {
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
    /// Set where the above can't be changed: the callback may come at any call of PostgreSQL.
    static IS_OUT_OF_DATE: Cell<bool> = const { Cell::new(false) };
}

/// Whether a statement may be learned from and steered.
pub(crate) fn contains(parse: *mut pg_sys::Query) -> bool {
    match known() {
        None => true,
        Some(scope) => scope.contains(&scope::tables_of(parse)),
    }
}

impl Scope {
    fn contains(&self, tables: &[u32]) -> bool {
        let is_in = |said: &HashSet<u32>, table: &u32| {
            said.contains(table) || scope::ancestors(*table).iter().any(|above| said.contains(above))
        };
        let is_disabled =
            !self.disabled.is_empty() && tables.iter().any(|table| is_in(&self.disabled, table));
        let is_enabled = self.enabled.is_empty() || tables.iter().any(|table| is_in(&self.enabled, table));
        is_enabled && !is_disabled
    }
}

/// What is said of tables; `None` when nothing is.
fn known() -> Option<Rc<Scope>> {
    scope::listen(note_change);
    if IS_OUT_OF_DATE.replace(false) {
        KNOWN.set(None);
    }
    let kept = KNOWN.with_borrow(|known| known.as_ref().map(|known| known.scope.clone()));
    if let Some(kept) = kept {
        return kept;
    }
    // A table that can't be read now is asked for again.
    let said = scope::read()?;
    let mut scope = Scope::default();
    for (table, is_enabled) in &said.tables {
        let set = if *is_enabled {
            &mut scope.enabled
        } else {
            &mut scope.disabled
        };
        set.insert(*table);
        set.extend(scope::ancestors(*table));
    }
    let tables = scope.enabled.union(&scope.disabled).copied();
    let tables = tables.chain([said.table]).collect();
    let scope = (!said.tables.is_empty()).then(|| Rc::new(scope));
    KNOWN.set(Some(Known {
        scope: scope.clone(),
        tables,
    }));
    scope
}

fn note_change(table: u32) {
    let depends = KNOWN.with(|known| {
        let Ok(known) = known.try_borrow() else {
            return true;
        };
        // While it is being read everything counts.
        let known = known.as_ref();
        known.is_none_or(|known| table == 0 || known.tables.contains(&table))
    });
    if depends {
        IS_OUT_OF_DATE.set(true);
    }
}
