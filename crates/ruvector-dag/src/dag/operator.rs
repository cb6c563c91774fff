//! Operators: every plan node type of PostgreSQL 14 to 18, and vector index scans as types of their own.

use serde::{Deserialize, Serialize};

macro_rules! operator_types {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal),* $(,)?) => {
        /// The kind of an operator. Codes are stored, so they are never given anew.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum OperatorType {
            $(
                #[doc = concat!("EXPLAIN calls it `", $name, "`.")]
                $variant = $code,
            )*
        }

        impl OperatorType {
            /// All types.
            pub const ALL: &'static [OperatorType] = &[$(OperatorType::$variant),*];

            /// The name EXPLAIN gives it as "Node Type".
            pub fn name(self) -> &'static str {
                match self {
                    $(OperatorType::$variant => $name,)*
                }
            }

            /// The type of this EXPLAIN name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(OperatorType::$variant),)*
                    _ => None,
                }
            }

            /// The stable code.
            pub fn code(self) -> u8 {
                self as u8
            }

            /// The type of this code.
            pub fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(OperatorType::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

operator_types! {
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

    /// The type of an index scan through an access method of pgvector; `None` for any other method.
    pub fn of_vector_index(access_method: &str) -> Option<Self> {
        match access_method {
            "hnsw" => Some(OperatorType::HnswScan),
            "ivfflat" => Some(OperatorType::IvfFlatScan),
            _ => None,
        }
    }
}

/// An operator's number within its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperatorId(pub u32);

impl std::fmt::Display for OperatorId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One operator. Row counts are rows, costs are PostgreSQL's cost units, widths are bytes.
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
    /// EXPLAIN's "Subplan Name": set on the root of a CTE, an InitPlan or a SubPlan.
    #[serde(default)]
    pub subplan_name: Option<String>,
    /// Clauses as EXPLAIN shows them, with their kind ("Filter", "Hash Cond", …), in its order. They hold literals.
    #[serde(default)]
    pub clauses: Vec<(String, String)>,
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
    /// How many candidates a vector index scan keeps (`ef_search`, `probes`).
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
            search_breadth: None,
        }
    }

    /// A sequential scan of a table.
    pub fn seq_scan(id: u32, relation: &str) -> Self {
        Self {
            relation: Some(relation.to_owned()),
            ..Self::new(id, OperatorType::SeqScan)
        }
    }

    /// A scan of an HNSW index that keeps `ef_search` candidates.
    pub fn hnsw_scan(id: u32, index: &str, ef_search: u32) -> Self {
        let node = Self::new(id, OperatorType::HnswScan);
        Self {
            index: Some(index.to_owned()),
            search_breadth: Some(ef_search),
            ..node
        }
    }

    /// A filter on its input.
    pub fn filter(id: u32, predicate: &str) -> Self {
        let clauses = vec![("Filter".to_owned(), predicate.to_owned())];
        Self {
            clauses,
            ..Self::new(id, OperatorType::Filter)
        }
    }

    /// The same operator with the planner's numbers.
    pub fn with_estimate(mut self, rows: f64, startup_cost: f64, total_cost: f64) -> Self {
        (self.rows, self.startup_cost, self.total_cost) = (rows, startup_cost, total_cost);
        self
    }

    /// The factor between estimated and counted rows, at least 1; `None` without a count.
    pub fn q_error(&self) -> Option<f64> {
        let (estimated, actual) = (self.rows.max(1.0), self.actual_rows?.max(1.0));
        Some((estimated / actual).max(actual / estimated))
    }
}
