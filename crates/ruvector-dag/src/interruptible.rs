//! Work that takes long and can be stopped: whoever waits for it is asked between its parts.

use crate::Error;
use rayon::prelude::*;

/// Answers whether work is to stop. Asked on the caller's thread, between parts of some tens of
/// milliseconds, while adapters are trained of some hundred.
pub type IsOver<'c> = dyn FnMut() -> bool + 'c;

/// Goes on unless the work is over.
///
/// # Errors
/// [`Error::Cancelled`] when it is.
pub(crate) fn check(is_over: &mut IsOver<'_>) -> Result<(), Error> {
    if is_over() {
        return Err(Error::Cancelled);
    }
    Ok(())
}

/// What `work` makes of each item, in their order, on rayon's threads: so many items make a part.
///
/// # Errors
/// [`Error::Cancelled`] when it is over before the last part.
pub(crate) fn map_in_parts<T: Sync, R: Send>(
    items: &[T],
    part: usize,
    is_over: &mut IsOver<'_>,
    work: impl Fn(&T) -> R + Sync,
) -> Result<Vec<R>, Error> {
    let mut results = Vec::with_capacity(items.len());
    for items in items.chunks(part.max(1)) {
        check(is_over)?;
        results.par_extend(items.par_iter().with_min_len(16).map(&work));
    }
    Ok(results)
}
