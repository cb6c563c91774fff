//! PostgreSQL's own formulas (src/backend/optimizer/path/costsize.c, PostgreSQL 15) on one operator, for graphs that
//! carry no costs or other parameters. Each arm names its function there. Left out are what a graph does not tell: the
//! correlation of an index, the selectivity of parts of a join's condition, the costs of functions.
//!
//! Vector scans follow pgvector 0.8's estimate (`hnswcostestimate`, `ivfflatcostestimate`).

use super::{CostContext, CostModel, UNKNOWN_GROUPS, work};
use crate::dag::{ClauseKind, OperatorNode, OperatorType};
use std::collections::HashMap;

/// Bytes of a page.
const PAGE: f64 = 8192.0;
/// Bytes of a row's header (MAXALIGN of SizeofHeapTupleHeader).
const ROW_HEADER: f64 = 24.0;
/// Index entries on a page of a B-tree with a key of a few bytes.
const ENTRIES_PER_PAGE: f64 = 300.0;
/// `DEFAULT_PAGE_CPU_MULTIPLIER` of selfuncs.c: operators to descend one page of an index.
const PAGE_CPU_MULTIPLIER: f64 = 50.0;
/// pgvector's default `m`.
const HNSW_M: f64 = 16.0;

/// What pg_class knows of a relation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RelationStatistics {
    /// `relpages`
    pub pages: f64,
    /// `reltuples`
    pub rows: f64,
}

/// Unit: one sequential page read, as in PostgreSQL.
#[derive(Debug, Clone, PartialEq)]
pub struct PostgresCostModel {
    /// A page read in order.
    pub seq_page_cost: f64,
    /// A page read at random.
    pub random_page_cost: f64,
    /// A row processed.
    pub cpu_tuple_cost: f64,
    /// An index entry processed.
    pub cpu_index_tuple_cost: f64,
    /// An operator or function call.
    pub cpu_operator_cost: f64,
    /// Starting parallel workers.
    pub parallel_setup_cost: f64,
    /// A row passed from a worker to its leader.
    pub parallel_tuple_cost: f64,
    /// Memory of a sort or a hash table.
    pub work_mem_kb: f64,
    /// Relations by name. Of others the size is guessed from the rows a scan gives.
    pub relations: HashMap<String, RelationStatistics>,
}

/// The defaults of postgresql.conf, and no relations.
impl Default for PostgresCostModel {
    fn default() -> Self {
        Self {
            seq_page_cost: 1.0,
            random_page_cost: 4.0,
            cpu_tuple_cost: 0.01,
            cpu_index_tuple_cost: 0.005,
            cpu_operator_cost: 0.0025,
            parallel_setup_cost: 1000.0,
            parallel_tuple_cost: 0.1,
            work_mem_kb: 4096.0,
            relations: HashMap::new(),
        }
    }
}

impl CostModel for PostgresCostModel {
    fn estimate_cost(&self, operator: &OperatorNode, context: &CostContext) -> f64 {
        match operator.operator_type {
            kind if kind.is_scan() => self.scan(operator, context),
            kind if kind.is_join() => self.join(operator, context),
            _ => self.other(operator, context),
        }
    }
}

impl PostgresCostModel {
    /// The same model with what is known of a relation.
    pub fn with_relation(mut self, name: &str, statistics: RelationStatistics) -> Self {
        self.relations.insert(name.to_owned(), statistics);
        self
    }

    fn statistics(&self, operator: &OperatorNode) -> RelationStatistics {
        let known = operator
            .relation
            .as_ref()
            .and_then(|name| self.relations.get(name))
            .copied();
        known.unwrap_or_else(|| RelationStatistics {
            pages: pages(operator.rows, operator.width),
            rows: operator.rows,
        })
    }

    /// A row processed, its conditions tested.
    fn per_row(&self, operator: &OperatorNode) -> f64 {
        self.cpu_tuple_cost + operator.conditions() as f64 * self.cpu_operator_cost
    }

    fn scan(&self, operator: &OperatorNode, context: &CostContext) -> f64 {
        let table = self.statistics(operator);
        let rows = operator.rows;
        match operator.operator_type {
            // cost_seqscan, cost_samplescan
            OperatorType::SeqScan => self.seq_page_cost * table.pages + self.per_row(operator) * table.rows,
            OperatorType::SampleScan => {
                self.random_page_cost * pages(rows, operator.width) + self.per_row(operator) * rows
            }
            // cost_index; an index-only scan finds all its pages visible.
            OperatorType::IndexScan => {
                let heap = self.random_page_cost * pages_fetched(table.pages, rows);
                self.index(table.rows, rows) + heap + self.per_row(operator) * rows
            }
            OperatorType::IndexOnlyScan => self.index(table.rows, rows) + self.per_row(operator) * rows,
            OperatorType::BitmapIndexScan => self.index(table.rows.max(rows), rows),
            OperatorType::BitmapHeapScan => self.bitmap_heap(operator, table),
            // cost_tidscan, cost_tidrangescan
            OperatorType::TidScan => (self.random_page_cost + self.per_row(operator)) * rows,
            OperatorType::TidRangeScan => {
                let following = (pages(rows, operator.width) - 1.0).max(0.0);
                self.random_page_cost + self.seq_page_cost * following + self.per_row(operator) * rows
            }
            OperatorType::HnswScan => self.hnsw(operator, table.rows),
            OperatorType::IvfFlatScan => self.ivfflat(operator, table.rows),
            // cost_functionscan, cost_valuesscan, cost_ctescan, cost_subqueryscan: what comes is in memory.
            _ => self.per_row(operator) * context.rows().max(rows),
        }
    }

    /// genericcostestimate and btcostestimate: descend, then read the entries' leaf pages.
    fn index(&self, table_rows: f64, rows: f64) -> f64 {
        let leaf_pages = (rows / ENTRIES_PER_PAGE).ceil().max(1.0);
        let comparisons = table_rows.max(2.0).log2().ceil();
        let height = (table_rows.max(1.0).ln() / ENTRIES_PER_PAGE.ln()).ceil().max(1.0);
        let descent = (comparisons + height * PAGE_CPU_MULTIPLIER) * self.cpu_operator_cost;
        let entries = (self.cpu_index_tuple_cost + self.cpu_operator_cost) * rows;
        self.random_page_cost * leaf_pages + descent + entries
    }

    /// cost_bitmap_heap_scan: the more pages are fetched, the more they are in order.
    fn bitmap_heap(&self, operator: &OperatorNode, table: RelationStatistics) -> f64 {
        let total = table.pages.max(1.0);
        let fetched = pages_fetched(total, operator.rows);
        let in_order = (fetched / total).sqrt();
        let page = self.random_page_cost - (self.random_page_cost - self.seq_page_cost) * in_order;
        page * fetched + self.per_row(operator) * operator.rows
    }

    /// Entries visited: down the levels to the bottom one, then a share of the neighbours of all candidates there.
    fn hnsw(&self, operator: &OperatorNode, table_rows: f64) -> f64 {
        let logarithm = table_rows.max(2.0).ln();
        let breadth = f64::from(operator.search_breadth.unwrap_or(work::HNSW_BREADTH).max(1));
        let levels = logarithm / HNSW_M.ln();
        let share = (0.55 * logarithm / (HNSW_M.ln() * (1.0 + breadth.ln()))).min(1.0);
        let visited = levels * HNSW_M + 2.0 * HNSW_M * breadth * share;
        visited * (self.random_page_cost + self.cpu_index_tuple_cost + self.cpu_operator_cost)
    }

    /// The share of the lists that is probed, with pgvector's advice of sqrt(rows) lists.
    fn ivfflat(&self, operator: &OperatorNode, table_rows: f64) -> f64 {
        let lists = table_rows.max(1.0).sqrt();
        let share = (f64::from(operator.search_breadth.unwrap_or(1)) / lists).min(1.0);
        let entries = table_rows * share;
        let read = pages(entries, operator.width) * self.seq_page_cost;
        read + entries * (self.cpu_index_tuple_cost + self.cpu_operator_cost) + lists * self.cpu_operator_cost
    }

    fn join(&self, operator: &OperatorNode, context: &CostContext) -> f64 {
        let (outer, inner) = (context.outer(), context.inner());
        let result = self.cpu_tuple_cost * operator.rows;
        let condition = operator.conditions().max(1) as f64 * self.cpu_operator_cost;
        match operator.operator_type {
            // final_cost_nestloop
            OperatorType::NestedLoop => self.per_row(operator) * outer.rows * inner.rows.max(1.0),
            // initial_cost_hashjoin; batches are written and read once
            OperatorType::HashJoin => {
                let build = (condition + self.cpu_tuple_cost) * inner.rows;
                let (outer_pages, inner_pages) =
                    (pages(outer.rows, outer.width), pages(inner.rows, inner.width));
                let fits = inner_pages * PAGE <= self.work_mem_kb * 1024.0;
                let batches = if fits {
                    0.0
                } else {
                    2.0 * self.seq_page_cost * (outer_pages + inner_pages)
                };
                build + condition * outer.rows + batches + result
            }
            // initial_cost_mergejoin, final_cost_mergejoin
            _ => condition * (outer.rows + inner.rows) + result,
        }
    }

    fn other(&self, operator: &OperatorNode, context: &CostContext) -> f64 {
        let (rows, given, operator_cost) = (context.rows(), operator.rows, self.cpu_operator_cost);
        match operator.operator_type {
            OperatorType::Sort => self.sort(context, rows),
            // cost_incremental_sort: each group is sorted by itself.
            OperatorType::IncrementalSort => self.sort(context, rows / rows.clamp(1.0, UNKNOWN_GROUPS)),
            // cost_agg, with one aggregate beside the keys: a graph does not tell how many there are.
            OperatorType::Aggregate => {
                operator_cost * rows * (keys(operator) + 1) as f64 + self.cpu_tuple_cost * given
            }
            // cost_group, create_upper_unique_path, create_setop_path
            OperatorType::Group | OperatorType::Unique | OperatorType::SetOp => {
                operator_cost * rows * keys(operator).max(1) as f64
            }
            // cost_windowagg
            OperatorType::WindowAgg => {
                (operator_cost * (1 + keys(operator)) as f64 + self.cpu_tuple_cost) * rows
            }
            // cost_material
            OperatorType::Materialize => 2.0 * operator_cost * rows + self.spilled(context),
            // cost_memoize_rescan
            OperatorType::Memoize => (self.cpu_tuple_cost + operator_cost) * rows,
            // cost_gather, cost_gather_merge
            OperatorType::Gather => self.parallel_setup_cost + self.parallel_tuple_cost * given,
            OperatorType::GatherMerge => {
                let heap = 2.0 * operator_cost * f64::from(operator.workers + 1).log2().max(1.0);
                let passed = 1.05 * self.parallel_tuple_cost;
                self.parallel_setup_cost + (heap + operator_cost + passed) * given
            }
            // cost_append, cost_merge_append
            OperatorType::Append => 0.5 * self.cpu_tuple_cost * given,
            OperatorType::MergeAppend => {
                let heap = 2.0 * operator_cost * (context.inputs.len().max(2) as f64).log2();
                (heap + 0.5 * self.cpu_tuple_cost) * given
            }
            // cost_bitmap_and_node, cost_bitmap_or_node
            OperatorType::BitmapAnd | OperatorType::BitmapOr => {
                100.0 * operator_cost * context.inputs.len().saturating_sub(1) as f64
            }
            OperatorType::Filter => self.per_row(operator) * rows,
            // create_lockrows_path, create_recursiveunion_plan, create_set_projection_path, create_group_result_path
            OperatorType::LockRows | OperatorType::RecursiveUnion | OperatorType::ProjectSet => {
                self.cpu_tuple_cost * given.max(rows)
            }
            OperatorType::Result => {
                self.cpu_tuple_cost
                    * if context.inputs.is_empty() {
                        given.max(1.0)
                    } else {
                        given
                    }
            }
            // A Hash is paid by its join; Limit and ModifyTable cost nothing in PostgreSQL.
            _ => 0.0,
        }
    }

    /// cost_tuplesort: comparisons within groups of this many rows, merge passes over what exceeds memory, and a call
    /// for each row given.
    fn sort(&self, context: &CostContext, group: f64) -> f64 {
        let rows = context.rows();
        let comparisons = 2.0 * self.cpu_operator_cost * rows * group.max(2.0).log2();
        comparisons + self.merge_passes(context) + self.cpu_operator_cost * rows
    }

    /// Each pass reads and writes everything, three quarters of it in order. Merge order 6 is PostgreSQL's least.
    fn merge_passes(&self, context: &CostContext) -> f64 {
        let (memory, needed) = (self.work_mem_kb * 1024.0, pages_of(context) * PAGE);
        if needed <= memory {
            return 0.0;
        }
        let runs = needed / memory.max(1.0);
        let passes = (runs.ln() / 6.0f64.ln()).ceil().max(1.0);
        2.0 * pages_of(context) * passes * (0.75 * self.seq_page_cost + 0.25 * self.random_page_cost)
    }

    /// What exceeds memory is written once.
    fn spilled(&self, context: &CostContext) -> f64 {
        let needed = pages_of(context);
        if needed * PAGE <= self.work_mem_kb * 1024.0 {
            0.0
        } else {
            self.seq_page_cost * needed
        }
    }
}

/// Pages of rows of this width (page_size).
fn pages(rows: f64, width: u32) -> f64 {
    (rows * (f64::from(width.div_ceil(8) * 8) + ROW_HEADER) / PAGE).ceil()
}

fn pages_of(context: &CostContext) -> f64 {
    context
        .inputs
        .iter()
        .map(|input| pages(input.rows, input.width))
        .sum()
}

/// Different pages met when fetching rows at random: `min(2TN / (2T + N), T)` (index_pages_fetched; Mackert and Lohman
/// 1989).
fn pages_fetched(pages: f64, rows: f64) -> f64 {
    let pages = pages.max(1.0);
    (2.0 * pages * rows / (2.0 * pages + rows)).min(pages).ceil()
}

/// Keys to group by.
fn keys(operator: &OperatorNode) -> usize {
    let lists = operator
        .clauses
        .iter()
        .filter(|clause| clause.kind == ClauseKind::GroupKey);
    lists.map(|list| list.text.split(", ").count()).sum()
}
