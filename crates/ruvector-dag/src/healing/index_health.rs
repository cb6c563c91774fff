//! Healing: what an index needs, by what the server knows of it.

/// Pages from which on it is worth to rebuild or vacuum for their sake: a megabyte.
const LEAST_PAGES: f64 = 128.0;
/// The fragmentation from which on rebuilding pays. Random inserts alone leave B-tree pages ln 2 full (Yao 1978), which is
/// 0.23 less than a fillfactor of 90 and comes again after each rebuild.
const FRAGMENTED: f64 = 0.4;
/// The share of dead rows at which autovacuum begins by default (`autovacuum_vacuum_scale_factor`).
const DEAD: f64 = 0.2;
/// Seconds without a scan after which an index is taken to be unused: a week, so that weekly work is seen.
const UNUSED_SECONDS: f64 = 7.0 * 86_400.0;
/// The recall below which an approximate index is to be rebalanced.
pub const TARGET_RECALL: f64 = 0.95;

/// What the server knows of an index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IndexFacts {
    /// False after a CREATE INDEX CONCURRENTLY that failed: it is kept up but not used.
    pub is_valid: bool,
    /// Whether it also guards the data: it is unique, or of a constraint, or the replica identity.
    pub is_constraint: bool,
    /// Scans since they are counted.
    pub scans: u64,
    /// Seconds for which they are counted: since the statistics were reset or the index was made, whichever is later.
    pub seconds_counted: f64,
    /// Its size in pages.
    pub pages: f64,
    /// The size it would have if it were built now, in pages; `None` where that can't be told.
    pub expected_pages: Option<f64>,
    /// The share of its table's rows that are dead; `None` where that is not known.
    pub dead_share: Option<f64>,
    /// The share of the nearest rows that it finds, of an approximate index where it was measured.
    pub recall: Option<f64>,
}

/// What an index needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexAction {
    /// Nothing.
    None,
    /// Rebuilding, because it is invalid or fragmented.
    Reindex,
    /// Dropping, because nothing uses it. Only ever a recommendation: a standby may use it.
    Drop,
    /// VACUUM of its table.
    Vacuum,
    /// Building it anew so that it finds the nearest rows again.
    Rebalance,
}

impl IndexAction {
    /// Its name: `none`, `reindex`, `drop`, `vacuum` or `rebalance`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Reindex => "reindex",
            Self::Drop => "drop",
            Self::Vacuum => "vacuum",
            Self::Rebalance => "rebalance",
        }
    }
}

/// How an index is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IndexHealth {
    /// The share of its pages, in [0, 1], that rebuilding would free; `None` where that can't be told.
    pub fragmentation: Option<f64>,
    /// What it needs most.
    pub action: IndexAction,
}

/// Says what an index needs most: to be valid, to be used, to find what it should, to be rid of dead rows, to be compact.
#[must_use]
pub fn index_health(facts: &IndexFacts) -> IndexHealth {
    let fragmentation = fragmentation(facts);
    let is_least = |share: Option<f64>, least| share.is_some_and(|share| share >= least);
    let is_large = facts.pages >= LEAST_PAGES;
    let is_unused = facts.scans == 0 && facts.seconds_counted >= UNUSED_SECONDS && !facts.is_constraint;
    let action = if !facts.is_valid {
        IndexAction::Reindex
    } else if is_unused {
        IndexAction::Drop
    } else if facts.recall.is_some_and(|recall| recall < TARGET_RECALL) {
        IndexAction::Rebalance
    } else if is_large && is_least(facts.dead_share, DEAD) {
        IndexAction::Vacuum
    } else if is_large && is_least(fragmentation, FRAGMENTED) {
        IndexAction::Reindex
    } else {
        IndexAction::None
    };
    IndexHealth {
        fragmentation,
        action,
    }
}

fn fragmentation(facts: &IndexFacts) -> Option<f64> {
    let expected = facts.expected_pages.filter(|expected| *expected >= 0.0)?;
    (facts.pages >= 1.0 && facts.pages.is_finite()).then(|| (1.0 - expected / facts.pages).max(0.0))
}

/// Bytes of a page's header and of what a B-tree keeps at its end.
const PAGE_OVERHEAD: f64 = 24.0 + 16.0;
/// Bytes of an entry's header, and of its line pointer.
const ENTRY_OVERHEAD: (f64, f64) = (8.0, 4.0);
/// To how many bytes entries are aligned.
const ALIGNMENT: f64 = 8.0;
/// How full inner pages are built, in percent (`BTREE_NONLEAF_FILLFACTOR`).
const INNER_FILLFACTOR: f64 = 70.0;

/// The pages of a B-tree that is built now: of `tuples` entries with keys of `key_bytes` on average, `fillfactor` in percent,
/// in pages of `page_bytes`. Against PostgreSQL 15 it is exact for keys of one width, and 7 % low for texts of up to 55
/// bytes, since each is aligned and their average is not. Equal keys share their entry since PostgreSQL 13, which is not
/// reckoned with: an index of many equal keys is smaller.
///
/// Complexity: O(ln tuples).
#[must_use]
pub fn expected_btree_pages(tuples: f64, key_bytes: f64, fillfactor: f64, page_bytes: f64) -> f64 {
    let (header, pointer) = ENTRY_OVERHEAD;
    let entry = ((header + key_bytes.max(0.0)) / ALIGNMENT).ceil() * ALIGNMENT + pointer;
    // A page is left with the entry that passes the fillfactor; that one makes up for the page's high key.
    let entries = |percent: f64| {
        let room = page_bytes * percent.clamp(10.0, 100.0) / 100.0 - PAGE_OVERHEAD;
        (room / entry).floor().max(2.0)
    };
    let mut level = (tuples.clamp(0.0, 1e15) / entries(fillfactor)).ceil();
    let mut pages = 1.0 + level;
    while level > 1.0 {
        level = (level / entries(INNER_FILLFACTOR)).ceil();
        pages += level;
    }
    pages
}
