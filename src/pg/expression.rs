//! PostgreSQL's expressions as the engine's terms.
//!
//! Only what has the same value in every execution is described: immutable operators over columns of this query level
//! and constants. Anything else (parameters, subplans, volatile or stable functions, unknown nodes) gives `None`, and the
//! relation it restricts is left alone.

use super::{list, statement};
use engine::cardinality::{Term, hash_words};
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// Positions in the relation graph by range-table index; `u8::MAX` marks none.
pub(super) type Positions = [u8];

/// Translates a clause; see the module's text for `None`.
///
/// # Safety
/// `expression` is null or a valid expression tree of the level whose relations `positions` describes.
pub(super) unsafe fn term(expression: *mut pg_sys::Expr, positions: &Positions) -> Option<Term> {
    // SAFETY: by the caller's promise.
    unsafe {
        if expression.is_null() || pg_sys::contain_mutable_functions(expression.cast()) {
            return None;
        }
        node_term(expression.cast(), positions)
    }
}

unsafe fn node_term(node: *mut pg_sys::Node, positions: &Positions) -> Option<Term> {
    if node.is_null() {
        return Some(Term::Leaf(0));
    }
    // SAFETY: each cast follows the node's tag; children of a valid tree are valid.
    unsafe {
        let tag = list::tag(node);
        match tag {
            NodeTag::T_Var => column(node.cast(), positions),
            NodeTag::T_Const => statement::hash_constant(node.cast()).map(Term::Leaf),
            NodeTag::T_RestrictInfo => {
                node_term((*node.cast::<pg_sys::RestrictInfo>()).clause.cast(), positions)
            }
            NodeTag::T_OpExpr | NodeTag::T_DistinctExpr | NodeTag::T_NullIfExpr => {
                operator(tag, node.cast(), positions)
            }
            NodeTag::T_FuncExpr => {
                let call = node.cast::<pg_sys::FuncExpr>();
                ordered(
                    hash(tag, [(*call).funcid.to_u32(), (*call).inputcollid.to_u32()]),
                    (*call).args,
                    positions,
                )
            }
            NodeTag::T_BoolExpr => {
                let call = node.cast::<pg_sys::BoolExpr>();
                Some(Term::Bag(
                    hash(tag, [(*call).boolop]),
                    terms((*call).args, positions)?,
                ))
            }
            NodeTag::T_ScalarArrayOpExpr => {
                let call = node.cast::<pg_sys::ScalarArrayOpExpr>();
                let words = [
                    (*call).opno.to_u32(),
                    u32::from((*call).useOr),
                    (*call).inputcollid.to_u32(),
                ];
                ordered(hash(tag, words), (*call).args, positions)
            }
            NodeTag::T_NullTest => {
                let test = node.cast::<pg_sys::NullTest>();
                one(
                    hash(tag, [(*test).nulltesttype, u32::from((*test).argisrow)]),
                    (*test).arg,
                    positions,
                )
            }
            NodeTag::T_BooleanTest => {
                let test = node.cast::<pg_sys::BooleanTest>();
                one(hash(tag, [(*test).booltesttype]), (*test).arg, positions)
            }
            NodeTag::T_RelabelType => {
                let cast = node.cast::<pg_sys::RelabelType>();
                one(
                    hash(tag, [(*cast).resulttype.to_u32(), (*cast).resultcollid.to_u32()]),
                    (*cast).arg,
                    positions,
                )
            }
            NodeTag::T_CoerceViaIO => {
                let cast = node.cast::<pg_sys::CoerceViaIO>();
                one(hash(tag, [(*cast).resulttype.to_u32()]), (*cast).arg, positions)
            }
            NodeTag::T_CoalesceExpr => ordered(
                hash(tag, []),
                (*node.cast::<pg_sys::CoalesceExpr>()).args,
                positions,
            ),
            NodeTag::T_MinMaxExpr => {
                let call = node.cast::<pg_sys::MinMaxExpr>();
                Some(Term::Bag(
                    hash(tag, [(*call).op]),
                    terms((*call).args, positions)?,
                ))
            }
            NodeTag::T_ArrayExpr => ordered(
                hash(tag, []),
                (*node.cast::<pg_sys::ArrayExpr>()).elements,
                positions,
            ),
            NodeTag::T_Aggref => aggregate(node.cast(), positions),
            NodeTag::T_CaseExpr => case(node.cast(), positions),
            NodeTag::T_CaseWhen => {
                let when = node.cast::<pg_sys::CaseWhen>();
                let parts = [
                    node_term((*when).expr.cast(), positions)?,
                    node_term((*when).result.cast(), positions)?,
                ];
                Some(Term::Call(hash(tag, []), parts.into()))
            }
            NodeTag::T_CaseTestExpr => Some(Term::Leaf(hash(tag, []))),
            NodeTag::T_PlaceHolderVar => {
                let placeholder = node.cast::<pg_sys::PlaceHolderVar>();
                ((*placeholder).phlevelsup == 0)
                    .then(|| node_term((*placeholder).phexpr.cast(), positions))?
            }
            _ => None,
        }
    }
}

fn hash<const N: usize>(tag: NodeTag, words: [u32; N]) -> u64 {
    hash_words([kind(tag)].into_iter().chain(words.into_iter().map(u64::from)))
}

/// Our own number per kind of expression: PostgreSQL renumbers its tags with every major.
fn kind(tag: NodeTag) -> u64 {
    match tag {
        NodeTag::T_OpExpr => 1,
        NodeTag::T_DistinctExpr => 2,
        NodeTag::T_NullIfExpr => 3,
        NodeTag::T_FuncExpr => 4,
        NodeTag::T_BoolExpr => 5,
        NodeTag::T_ScalarArrayOpExpr => 6,
        NodeTag::T_NullTest => 7,
        NodeTag::T_BooleanTest => 8,
        NodeTag::T_RelabelType => 9,
        NodeTag::T_CoerceViaIO => 10,
        NodeTag::T_CoalesceExpr => 11,
        NodeTag::T_MinMaxExpr => 12,
        NodeTag::T_ArrayExpr => 13,
        NodeTag::T_CaseExpr => 14,
        NodeTag::T_CaseWhen => 15,
        NodeTag::T_CaseTestExpr => 16,
        NodeTag::T_Aggref => 17,
        _ => 0,
    }
}

unsafe fn column(var: *const pg_sys::Var, positions: &Positions) -> Option<Term> {
    // SAFETY: by the caller's promise.
    let (level, rtindex, attribute) = unsafe {
        (
            (*var).varlevelsup,
            usize::try_from((*var).varno).ok()?,
            (*var).varattno,
        )
    };
    let position = *positions.get(rtindex)?;
    (level == 0 && position != u8::MAX).then_some(Term::Column {
        relation: usize::from(position),
        attribute,
    })
}

unsafe fn operator(tag: NodeTag, call: *const pg_sys::OpExpr, positions: &Positions) -> Option<Term> {
    // SAFETY: by the caller's promise.
    unsafe {
        let word = |operator: pg_sys::Oid| hash(tag, [operator.to_u32(), (*call).inputcollid.to_u32()]);
        let operands = terms((*call).args, positions)?;
        let commutator = pg_sys::get_commutator((*call).opno);
        match <[Term; 2]>::try_from(operands) {
            Ok(operands) if commutator != pg_sys::InvalidOid => Some(Term::Commuting {
                operator: word((*call).opno),
                commutator: word(commutator),
                operands: Box::new(operands),
            }),
            Ok(operands) => Some(Term::Call(word((*call).opno), operands.into())),
            Err(operands) => Some(Term::Call(word((*call).opno), operands)),
        }
    }
}

/// An aggregate of the rows of a group, in whatever order.
unsafe fn aggregate(call: *const pg_sys::Aggref, positions: &Positions) -> Option<Term> {
    // SAFETY: by the caller's promise.
    unsafe {
        if !(*call).aggorder.is_null() || !(*call).aggdirectargs.is_null() || (*call).agglevelsup > 0 {
            return None;
        }
        let words = [
            (*call).aggfnoid.to_u32(),
            (*call).inputcollid.to_u32(),
            u32::from(!(*call).aggdistinct.is_null()),
        ];
        let arguments = list::pointers::<pg_sys::TargetEntry>((*call).args).map(|argument| (*argument).expr);
        let parts = arguments.chain([(*call).aggfilter]);
        let parts: Option<Vec<Term>> = parts.map(|part| node_term(part.cast(), positions)).collect();
        Some(Term::Call(hash(NodeTag::T_Aggref, words), parts?))
    }
}

unsafe fn case(case: *const pg_sys::CaseExpr, positions: &Positions) -> Option<Term> {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut parts = vec![node_term((*case).arg.cast(), positions)?];
        parts.extend(terms((*case).args, positions)?);
        parts.push(node_term((*case).defresult.cast(), positions)?);
        Some(Term::Call(hash(NodeTag::T_CaseExpr, []), parts))
    }
}

unsafe fn one(call: u64, operand: *mut pg_sys::Expr, positions: &Positions) -> Option<Term> {
    // SAFETY: by the caller's promise.
    Some(Term::Call(
        call,
        vec![unsafe { node_term(operand.cast(), positions) }?],
    ))
}

unsafe fn ordered(call: u64, operands: *mut pg_sys::List, positions: &Positions) -> Option<Term> {
    // SAFETY: by the caller's promise.
    Some(Term::Call(call, unsafe { terms(operands, positions) }?))
}

unsafe fn terms(operands: *mut pg_sys::List, positions: &Positions) -> Option<Vec<Term>> {
    // SAFETY: by the caller's promise.
    unsafe {
        list::pointers(operands)
            .map(|operand| node_term(operand, positions))
            .collect()
    }
}
