//! Reading PostgreSQL's lists, bit sets and node tags in place, without a call into the server for each element.

use core::ffi::c_int;
use pgrx::pg_sys;

/// The elements of a list of pointers; `NIL` is empty.
///
/// # Safety
/// `list` is null or a valid `T_List` whose elements point to `T`, and it is not changed while iterating.
pub(super) unsafe fn pointers<T>(list: *mut pg_sys::List) -> impl Iterator<Item = *mut T> {
    let length = if list.is_null() {
        0
    } else {
        // SAFETY: not null, so valid by the caller's promise.
        unsafe { (*list).length }
    };
    (0..length as usize).map(move |position| {
        // SAFETY: position < length.
        unsafe { (*(*list).elements.add(position)).ptr_value.cast::<T>() }
    })
}

/// The elements of a list of OIDs; `NIL` is empty.
///
/// # Safety
/// `list` is null or a valid `T_OidList` that is not changed while iterating.
pub(super) unsafe fn oids(list: *mut pg_sys::List) -> impl Iterator<Item = pg_sys::Oid> {
    // SAFETY: by the caller's promise.
    let length = unsafe { length(list) };
    // SAFETY: position < length.
    (0..length).map(move |position| unsafe { (*(*list).elements.add(position)).oid_value })
}

/// The number of elements of a list; 0 for `NIL`.
///
/// # Safety
/// `list` is null or a valid list.
pub(super) unsafe fn length(list: *mut pg_sys::List) -> usize {
    // SAFETY: by the caller's promise.
    if list.is_null() {
        0
    } else {
        // SAFETY: not null, so valid by the caller's promise.
        unsafe { (*list).length as usize }
    }
}

/// The members of a bit set, ascending; null is empty.
///
/// # Safety
/// `set` is null or a valid `Bitmapset` that is not changed while iterating.
pub(super) unsafe fn members(set: *mut pg_sys::Bitmapset) -> impl Iterator<Item = usize> {
    let words = if set.is_null() {
        0
    } else {
        // SAFETY: not null, so valid by the caller's promise.
        unsafe { (*set).nwords as usize }
    };
    (0..words).flat_map(move |word| {
        // SAFETY: word < nwords.
        let mut bits = unsafe { *(*set).words.as_ptr().add(word) };
        std::iter::from_fn(move || {
            let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
            bits &= bits - 1;
            Some(word * pg_sys::BITS_PER_BITMAPWORD as usize + bit)
        })
    })
}

/// Whether a bit set has no members.
///
/// # Safety
/// As for [`members`].
pub(super) unsafe fn is_empty(set: *mut pg_sys::Bitmapset) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { members(set) }.next().is_none()
}

/// The tag of a node.
///
/// # Safety
/// `node` points to a node.
pub(super) unsafe fn tag<T>(node: *const T) -> pg_sys::NodeTag {
    // SAFETY: every node starts with its tag.
    unsafe { *node.cast::<pg_sys::NodeTag>() }
}

/// An array index out of a PostgreSQL integer that is never negative.
pub(super) fn index(number: c_int) -> usize {
    usize::try_from(number).unwrap_or(0)
}
