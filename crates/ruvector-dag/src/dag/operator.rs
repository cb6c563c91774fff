//! Operators: every plan node type of PostgreSQL 14 to 18, and vector index scans as types of their own.

use super::coded::coded;
use super::{Clause, ClauseKind};
use crate::OperatorId;
use serde::{Deserialize, Serialize};

coded! {
    /// The kind of an operator.
    OperatorType {
        Result = 1 "Result",
        ProjectSet = 2 "ProjectSet",
        ModifyTable = 3 "ModifyTable",
        Append = 4 "Append",
        MergeAppend = 5 "Merge Append",
        RecursiveUnion = 6 "Recursive Union",
        BitmapAnd = 7 "BitmapAnd",
        BitmapOr = 8 "BitmapOr",
        SeqScan = 9 "Seq Scan",
        SampleScan = 10 "Sample Scan",
        IndexScan = 11 "Index Scan",
        IndexOnlyScan = 12 "Index Only Scan",
        BitmapIndexScan = 13 "Bitmap Index Scan",
        BitmapHeapScan = 14 "Bitmap Heap Scan",
        TidScan = 15 "Tid Scan",
        TidRangeScan = 16 "Tid Range Scan",
        SubqueryScan = 17 "Subquery Scan",
        FunctionScan = 18 "Function Scan",
        ValuesScan = 19 "Values Scan",
        TableFunctionScan = 20 "Table Function Scan",
        CteScan = 21 "CTE Scan",
        NamedTuplestoreScan = 22 "Named Tuplestore Scan",
        WorkTableScan = 23 "WorkTable Scan",
        ForeignScan = 24 "Foreign Scan",
        CustomScan = 25 "Custom Scan",
        NestedLoop = 26 "Nested Loop",
        MergeJoin = 27 "Merge Join",
        HashJoin = 28 "Hash Join",
        Materialize = 29 "Materialize",
        Memoize = 30 "Memoize",
        Sort = 31 "Sort",
        IncrementalSort = 32 "Incremental Sort",
        Group = 33 "Group",
        Aggregate = 34 "Aggregate",
        WindowAgg = 35 "WindowAgg",
        Unique = 36 "Unique",
        Gather = 37 "Gather",
        GatherMerge = 38 "Gather Merge",
        Hash = 39 "Hash",
        SetOp = 40 "SetOp",
        LockRows = 41 "LockRows",
        Limit = 42 "Limit",
        HnswScan = 43 "HNSW Scan",
        IvfFlatScan = 44 "IVFFlat Scan",
        Filter = 45 "Filter",
    }
}

impl OperatorType {
    /// Whether it reads a relation, an index or another source of rows.
    pub fn is_scan(self) -> bool {
        self.name().ends_with("Scan")
    }

    /// Whether it joins two inputs.
    pub fn is_join(self) -> bool {
        matches!(
            self,
            OperatorType::NestedLoop | OperatorType::MergeJoin | OperatorType::HashJoin
        )
    }

    /// Whether it looks for nearest neighbours in a vector index, approximately.
    pub fn is_vector_scan(self) -> bool {
        matches!(self, OperatorType::HnswScan | OperatorType::IvfFlatScan)
    }

    /// Whether it may have to keep all of its input in memory or spill it.
    pub fn keeps_input(self) -> bool {
        matches!(
            self,
            OperatorType::Sort
                | OperatorType::Hash
                | OperatorType::Materialize
                | OperatorType::Aggregate
                | OperatorType::RecursiveUnion
        )
    }

    /// The type of an index scan through an access method of pgvector; `None` for any other method.
    pub fn of_vector_index(access_method: &str) -> Option<Self> {
        match access_method {
            "hnsw" => Some(OperatorType::HnswScan),
            "ivfflat" => Some(OperatorType::IvfFlatScan),
            _ => None,
        }
    }
}

/// One operator. Row counts are rows per execution, costs are PostgreSQL's cost units, widths are bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorNode {
    /// Its number.
    pub id: OperatorId,
    /// Its kind.
    pub operator_type: OperatorType,
    /// The table it reads, without schema.
    #[serde(default)]
    pub relation: Option<String>,
    /// The table's alias in the statement.
    #[serde(default)]
    pub alias: Option<String>,
    /// The index it reads.
    #[serde(default)]
    pub index: Option<String>,
    /// EXPLAIN's "Join Type": Inner, Left, Semi, …
    #[serde(default)]
    pub join_type: Option<String>,
    /// How it works, where its kind has several ways: EXPLAIN's "Strategy" after its "Partial Mode" ("Hashed",
    /// "Partial Sorted"), or a ModifyTable's "Operation".
    #[serde(default)]
    pub strategy: Option<String>,
    /// EXPLAIN's "Subplan Name": set on the root of a CTE, an InitPlan or a SubPlan.
    #[serde(default)]
    pub subplan_name: Option<String>,
    /// Its clauses, in EXPLAIN's order.
    #[serde(default)]
    pub clauses: Vec<Clause>,
    /// Rows the planner expects, per execution.
    pub rows: f64,
    /// Cost until the first row.
    pub startup_cost: f64,
    /// Cost until the last row, inputs included.
    pub total_cost: f64,
    /// Bytes of an average row.
    pub width: u32,
    /// Parallel workers planned below.
    pub workers: u32,
    /// Rows counted, per execution.
    #[serde(default)]
    pub actual_rows: Option<f64>,
    /// Executions.
    #[serde(default)]
    pub loops: Option<f64>,
    /// Time until the last row, per execution, inputs included, in milliseconds.
    #[serde(default)]
    pub actual_ms: Option<f64>,
    /// Blocks found in shared buffers, in all executions, inputs included.
    #[serde(default)]
    pub shared_hit_blocks: Option<u64>,
    /// Blocks read into shared buffers, in all executions, inputs included.
    #[serde(default)]
    pub shared_read_blocks: Option<u64>,
    /// How many candidates a vector index scan keeps (`ef_search`) or lists it probes (`probes`).
    #[serde(default)]
    pub search_breadth: Option<u32>,
}

impl OperatorNode {
    /// An operator without rows, costs or relation.
    pub fn new(id: u32, operator_type: OperatorType) -> Self {
        Self {
            id: OperatorId(id),
            operator_type,
            relation: None,
            alias: None,
            index: None,
            join_type: None,
            strategy: None,
            subplan_name: None,
            clauses: Vec::new(),
            rows: 0.0,
            startup_cost: 0.0,
            total_cost: 0.0,
            width: 0,
            workers: 0,
            actual_rows: None,
            loops: None,
            actual_ms: None,
            shared_hit_blocks: None,
            shared_read_blocks: None,
            search_breadth: None,
        }
    }

    /// A sequential scan of a table.
    pub fn seq_scan(id: u32, relation: &str) -> Self {
        Self::new(id, OperatorType::SeqScan).with_relation(relation)
    }

    /// A scan of an HNSW index that keeps `ef_search` candidates.
    pub fn hnsw_scan(id: u32, index: &str, ef_search: u32) -> Self {
        let node = Self::new(id, OperatorType::HnswScan).with_index(index);
        Self {
            search_breadth: Some(ef_search),
            ..node
        }
    }

    /// A scan of an IVFFlat index that reads `probes` lists.
    pub fn ivfflat_scan(id: u32, index: &str, probes: u32) -> Self {
        let node = Self::new(id, OperatorType::IvfFlatScan).with_index(index);
        Self {
            search_breadth: Some(probes),
            ..node
        }
    }

    /// A filter on its input.
    pub fn filter(id: u32, predicate: &str) -> Self {
        Self::new(id, OperatorType::Filter).with_clause(ClauseKind::Filter, predicate)
    }

    /// The same operator on this table.
    pub fn with_relation(mut self, relation: &str) -> Self {
        self.relation = Some(relation.to_owned());
        self
    }

    /// The same operator through this index.
    pub fn with_index(mut self, index: &str) -> Self {
        self.index = Some(index.to_owned());
        self
    }

    /// The same operator with one more clause.
    pub fn with_clause(mut self, kind: ClauseKind, text: &str) -> Self {
        self.clauses.push(Clause::new(kind, text));
        self
    }

    /// The same operator with this join type, as EXPLAIN names it.
    pub fn with_join_type(mut self, join_type: &str) -> Self {
        self.join_type = Some(join_type.to_owned());
        self
    }

    /// The same operator with the planner's numbers.
    pub fn with_estimate(mut self, rows: f64, startup_cost: f64, total_cost: f64) -> Self {
        (self.rows, self.startup_cost, self.total_cost) = (rows, startup_cost, total_cost);
        self
    }

    /// The same operator with rows of this many bytes.
    pub fn with_width(mut self, bytes: u32) -> Self {
        self.width = bytes;
        self
    }

    /// The same operator with what was counted: rows per execution, and executions.
    pub fn with_actual(mut self, rows: f64, loops: f64) -> Self {
        (self.actual_rows, self.loops) = (Some(rows), Some(loops));
        self
    }

    /// The number of clauses that are evaluated for rows.
    pub fn conditions(&self) -> usize {
        self.clauses
            .iter()
            .filter(|clause| clause.kind.is_condition())
            .count()
    }

    /// The factor between estimated and counted rows, at least 1; `None` without a count.
    pub fn q_error(&self) -> Option<f64> {
        let (estimated, actual) = (self.rows.max(1.0), self.actual_rows?.max(1.0));
        Some((estimated / actual).max(actual / estimated))
    }

    /// The numbers that must be finite and not negative, with their names.
    fn numbers(&mut self) -> [(&'static str, Number<'_>); 6] {
        [
            ("rows", Number::Known(&mut self.rows)),
            ("startup_cost", Number::Known(&mut self.startup_cost)),
            ("total_cost", Number::Known(&mut self.total_cost)),
            ("actual_rows", Number::Optional(&mut self.actual_rows)),
            ("loops", Number::Optional(&mut self.loops)),
            ("actual_ms", Number::Optional(&mut self.actual_ms)),
        ]
    }

    /// The first number that no plan can have.
    pub(super) fn invalid_number(&mut self) -> Option<(&'static str, f64)> {
        self.numbers()
            .into_iter()
            .find_map(|(field, number)| Some((field, number.invalid()?)))
    }

    /// Forgets numbers that no plan can have.
    pub(super) fn forget_invalid_numbers(&mut self) {
        for (_, number) in self
            .numbers()
            .into_iter()
            .filter(|(_, number)| number.invalid().is_some())
        {
            match number {
                Number::Known(value) => *value = 0.0,
                Number::Optional(value) => *value = None,
            }
        }
    }
}

/// A number of an operator, in place.
enum Number<'n> {
    Known(&'n mut f64),
    Optional(&'n mut Option<f64>),
}

impl Number<'_> {
    /// Its value, when it is negative, infinite or not a number.
    fn invalid(&self) -> Option<f64> {
        let value = match self {
            Number::Known(value) => Some(**value),
            Number::Optional(value) => **value,
        };
        value.filter(|value| !(*value >= 0.0 && value.is_finite()))
    }
}
