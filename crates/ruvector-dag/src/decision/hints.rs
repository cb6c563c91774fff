//! Hint sets: which join and scan methods a statement is planned without, and the parameters set for it alone.
//!
//! The 49 sets of join and scan methods are Bao's (Marcus et al., SIGMOD 2021): every combination that leaves at least one
//! join method and one way to read a table.

use core::ffi::CStr;

/// Switches of the planner for one statement, as bits; the empty set leaves everything as the session has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
#[repr(transparent)]
pub struct HintSet(u32);

/// A planner method that a hint set switches off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// The bit in [`HintSet::bits`].
    pub bit: u32,
    /// PostgreSQL's setting.
    pub setting: &'static CStr,
    /// As users read it.
    pub name: &'static str,
}

/// The methods a hint set can switch off, joins first.
pub const METHODS: [Method; 7] = [
    Method {
        bit: 1,
        setting: c"enable_hashjoin",
        name: "hash join",
    },
    Method {
        bit: 1 << 1,
        setting: c"enable_mergejoin",
        name: "merge join",
    },
    Method {
        bit: 1 << 2,
        setting: c"enable_nestloop",
        name: "nested loop",
    },
    Method {
        bit: 1 << 3,
        setting: c"enable_seqscan",
        name: "sequential scan",
    },
    Method {
        bit: 1 << 4,
        setting: c"enable_indexscan",
        name: "index scan",
    },
    Method {
        bit: 1 << 5,
        setting: c"enable_indexonlyscan",
        name: "index-only scan",
    },
    Method {
        bit: 1 << 6,
        setting: c"enable_bitmapscan",
        name: "bitmap scan",
    },
];

/// What is 0 to make PostgreSQL consider parallel workers for small tables, too, within the session's own limits on their number. What starting
/// them and handing on rows costs stays as it is: without these costs it gives other plans of few of the STATS statements, none of them faster.
pub const WORKERS_SOONER: [&CStr; 2] = [c"min_parallel_table_scan_size", c"min_parallel_index_scan_size"];

const JOINS: u32 = 0b111;
const SCANS: u32 = 0b1111 << 3;
const INDEX_SCAN: u32 = 1 << 4;
const INDEX_ONLY_SCAN: u32 = 1 << 5;
const NO_PARALLEL: u32 = 1 << 7;
const NO_JIT: u32 = 1 << 8;
const CAUTIOUS: u32 = 1 << 9;
const WORKERS: u32 = 1 << 10;
const MEMORY_SHIFT: u32 = 12;
const MEMORY: u32 = 0b111 << MEMORY_SHIFT;
const FORM_SHIFT: u32 = 16;
const FORM: u32 = 0b111 << FORM_SHIFT;
const COST_SHIFT: u32 = 19;
const COSTS: u32 = 0xfff << COST_SHIFT;
const PARAMETERS: u32 = NO_PARALLEL | WORKERS | NO_JIT | MEMORY | COSTS;
/// What is said of parallel workers.
const OF_WORKERS: u32 = NO_PARALLEL | WORKERS;
const KNOWN: u32 = JOINS | SCANS | PARAMETERS | CAUTIOUS | FORM;

/// What a table may be read with: everything; without sequential, index or bitmap scans; index scans, sequential scans
/// or bitmap scans only.
const SCAN_SETS: [u32; 7] = [
    0,
    1 << 3,
    0b110 << 3,
    0b1000 << 3,
    0b1001 << 3,
    0b1110 << 3,
    0b0111 << 3,
];

impl HintSet {
    /// No hint.
    pub const NONE: Self = Self(0);
    /// All bits that are planner costs: a mask for stored sets.
    pub const ALL_COSTS: Self = Self(COSTS);

    /// A set from stored bits; unknown ones are dropped, a set that leaves no join or scan method is none, and one
    /// without parallel workers asks for none.
    pub fn from_bits(bits: u32) -> Self {
        let bits = bits & KNOWN;
        if bits & JOINS == JOINS || bits & SCANS == SCANS {
            Self::NONE
        } else if bits & OF_WORKERS == OF_WORKERS {
            Self(bits & !WORKERS)
        } else {
            Self(bits)
        }
    }

    /// The set as bits, to store.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether nothing is asked for.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The methods switched off.
    pub fn methods(self) -> impl Iterator<Item = Method> {
        METHODS.into_iter().filter(move |method| self.0 & method.bit != 0)
    }

    /// Whether it can change a plan that uses these methods, as bits of [`METHODS`]; 0 is not known. To switch off what the
    /// cheapest plan does not use leaves it the cheapest. `enable_indexscan` also concerns index-only scans (`cost_index` in
    /// `costsize.c`).
    pub fn touches(self, used: u32) -> bool {
        let off = self.0 & (JOINS | SCANS);
        let also = if used & INDEX_ONLY_SCAN != 0 {
            INDEX_SCAN
        } else {
            0
        };
        used == 0 || off == 0 || off & (used | also) != 0
    }

    /// Whether what it switches off beyond `other` leaves the plan under that one the cheapest, which uses these methods.
    pub fn adds_nothing_to(self, other: Self, used: u32) -> bool {
        let (own, others) = (self.0 & (JOINS | SCANS), other.0 & (JOINS | SCANS));
        own & others == others && !Self(own & !others).touches(used)
    }

    /// Whether it switches off join and scan methods and changes nothing else.
    pub fn is_of_methods(self) -> bool {
        self.0 != 0 && self.0 & !(JOINS | SCANS) == 0
    }

    /// Without parallel workers.
    pub fn is_serial(self) -> bool {
        self.0 & NO_PARALLEL != 0
    }

    /// With parallel workers for small tables, too: [`WORKERS_SOONER`] are 0.
    pub fn asks_for_workers(self) -> bool {
        self.0 & WORKERS != 0
    }

    /// Without just-in-time compilation.
    pub fn is_without_jit(self) -> bool {
        self.0 & NO_JIT != 0
    }

    /// Unknown joins are planned with more rows than estimated.
    pub fn is_cautious(self) -> bool {
        self.0 & CAUTIOUS != 0
    }

    /// `work_mem` times two to the power of this, up to the owner's limit.
    pub fn memory_doublings(self) -> u32 {
        (self.0 & MEMORY) >> MEMORY_SHIFT
    }

    /// The number of the form in which the statement is planned; `None` for its own.
    pub fn form(self) -> Option<usize> {
        ((self.0 & FORM) >> FORM_SHIFT)
            .checked_sub(1)
            .map(|form| form as usize)
    }

    /// The same set for the form with this number, of which there are [`FORMS`].
    pub fn with_form(self, form: usize) -> Self {
        let number = (form.min(FORMS - 1) + 1) as u32;
        Self(self.0 & !FORM | number << FORM_SHIFT)
    }

    /// The same set for the statement's own form.
    pub fn without_form(self) -> Self {
        Self(self.0 & !FORM)
    }

    /// The same set without parallel workers.
    pub fn serial(self) -> Self {
        Self(self.0 & !WORKERS | NO_PARALLEL)
    }

    /// The same set with parallel workers for small tables, too.
    pub fn with_workers(self) -> Self {
        Self(self.0 & !NO_PARALLEL | WORKERS)
    }

    /// The same set without just-in-time compilation.
    pub fn without_jit(self) -> Self {
        Self(self.0 | NO_JIT)
    }

    /// The same set, planned cautiously.
    pub fn cautious(self) -> Self {
        Self(self.0 | CAUTIOUS)
    }

    /// The same set with `work_mem` doubled this often, at most seven times.
    pub fn with_memory_doublings(self, doublings: u32) -> Self {
        Self(self.0 & !MEMORY | doublings.min(7) << MEMORY_SHIFT)
    }

    /// The bits of its planner costs.
    pub(super) fn cost_bits(self) -> u32 {
        (self.0 & COSTS) >> COST_SHIFT
    }

    /// The same set with these bits as planner costs.
    pub(super) fn with_cost_bits(self, bits: u32) -> Self {
        Self(self.0 & !COSTS | bits << COST_SHIFT & COSTS)
    }

    /// What of it are parameters and the statement's form, which further trials keep.
    pub fn parameters(self) -> Self {
        Self(self.0 & (PARAMETERS | FORM))
    }

    /// What of it chooses among the plans of a form.
    pub fn plan_methods(self) -> Self {
        Self(self.0 & !(PARAMETERS | FORM))
    }

    /// Both sets, with this one's planner costs if it has any, and what it says of parallel workers; `NONE` when together they would leave
    /// no method.
    pub fn and(self, other: Self) -> Self {
        let other = match self.0 & OF_WORKERS {
            0 => other,
            _ => Self(other.0 & !OF_WORKERS),
        };
        let memory = self.memory_doublings().max(other.memory_doublings());
        let form = self.form().or(other.form());
        let costs = if self.has_costs() { self } else { other };
        let both = Self::from_bits((self.0 | other.0) & !(FORM | COSTS))
            .with_memory_doublings(memory)
            .with_cost_bits(costs.cost_bits());
        form.map_or(both, |form| both.with_form(form))
    }

    /// Words for users; empty for no hint.
    pub fn describe(self) -> String {
        let form = self.form().map(|_| "rewritten".to_owned());
        let methods = self.methods().map(|method| format!("no {}", method.name));
        let mut words: Vec<String> = form.into_iter().chain(methods).collect();
        if self.is_serial() {
            words.push("no parallel workers".to_owned());
        }
        if self.asks_for_workers() {
            words.push("parallel workers for small tables".to_owned());
        }
        if self.is_without_jit() {
            words.push("no JIT".to_owned());
        }
        if self.memory_doublings() > 0 {
            words.push(format!("work_mem × {}", 1u32 << self.memory_doublings()));
        }
        words.extend(self.costs().describe());
        if self.is_cautious() {
            words.push("cautious row counts".to_owned());
        }
        words.join(", ")
    }
}

/// Other forms of a statement that are planned at most.
pub const FORMS: usize = 4;
/// Number of [`arms`].
pub const ARMS: usize = 61;
/// The place of the first other form among them.
pub(super) const FIRST_FORM: usize = ARMS - 1 - FORMS;

/// The hint sets that are tried alone: the 48 sets of join and scan methods, fewest methods off first, then parameters, forms, and
/// parallel workers, which are the newest.
pub fn arms() -> [HintSet; ARMS] {
    let mut arms = [HintSet::NONE; ARMS];
    let methods = (0..JOINS).flat_map(|joins| SCAN_SETS.map(|scans| HintSet(joins | scans)));
    let mut methods: Vec<HintSet> = methods.filter(|set| !set.is_none()).collect();
    methods.sort_by_key(|set| (set.methods().count(), set.bits()));
    let none = HintSet::NONE;
    let parameters = [
        none.without_jit(),
        none.serial(),
        none.serial().without_jit(),
        none.with_memory_doublings(2),
        none.with_memory_doublings(4),
        none.without_jit().with_memory_doublings(4),
        none.serial().without_jit().with_memory_doublings(4),
        none.cautious(),
    ];
    let forms = (0..FORMS).map(|form| none.with_form(form));
    let all = methods
        .into_iter()
        .chain(parameters)
        .chain(forms)
        .chain([none.with_workers()]);
    arms.iter_mut().zip(all).for_each(|(arm, set)| *arm = set);
    arms
}

/// The place of a hint set among [`arms`].
pub fn arm_of(hints: HintSet) -> Option<usize> {
    arms().iter().position(|&arm| arm == hints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_leaves_all_that_a_plan_uses_does_not_touch_it() {
        let off = HintSet::from_bits;
        let [hash, merge, _, seq, index, index_only, _] = METHODS.map(|method| method.bit);
        assert!(!off(merge | index).touches(hash | seq));
        assert!(off(merge | index).touches(hash | index));
        assert!(off(index).touches(index_only) && !off(index_only).touches(index));
        // Not known, and nothing of the kind.
        assert!(off(merge).touches(0) && HintSet::NONE.serial().touches(hash));
    }

    #[test]
    fn there_are_48_sets_of_methods_9_of_parameters_and_4_forms_all_different() {
        let mut all = arms().to_vec();
        let forms = all[FIRST_FORM..][..FORMS].iter().map(|set| set.form());
        assert!(forms.eq((0..FORMS).map(Some)));
        assert_eq!(all.iter().filter(|set| set.methods().count() > 0).count(), 48);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), ARMS);
        assert!(!all.contains(&HintSet::NONE));
    }

    #[test]
    fn what_is_newer_says_whether_there_are_parallel_workers() {
        let (serial, workers) = (HintSet::NONE.serial(), HintSet::NONE.with_workers());
        assert_eq!((serial.and(workers), workers.and(serial)), (serial, workers));
        assert_eq!((serial.with_workers(), workers.serial()), (workers, serial));
        let without_jit = HintSet::NONE.without_jit();
        assert_eq!(without_jit.and(workers), workers.and(without_jit));
    }

    #[test]
    fn a_set_that_leaves_no_method_is_none() {
        assert_eq!(HintSet::from_bits(0b111), HintSet::NONE);
        assert_eq!(HintSet::from_bits(0b1111 << 3), HintSet::NONE);
        assert_eq!(
            HintSet::from_bits(0b011).and(HintSet::from_bits(0b100)),
            HintSet::NONE
        );
    }

    #[test]
    fn parameters_and_methods_make_up_the_set() {
        for set in arms() {
            let both = set.and(HintSet::NONE.without_jit().with_memory_doublings(3));
            assert_eq!(both.parameters().and(both.plan_methods()), both);
        }
    }
}
