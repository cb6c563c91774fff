//! Small sets of positions: relations, or classes of columns.

/// A set of positions below 64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Set(u64);

impl Set {
    /// How many positions there are.
    pub const CAPACITY: usize = 64;

    /// The set of one position; empty for positions that no set can hold.
    pub fn one(position: usize) -> Self {
        let shift = u32::try_from(position).ok();
        Self(shift.and_then(|shift| 1u64.checked_shl(shift)).unwrap_or(0))
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many positions are in it.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether a position is in it.
    pub fn contains(self, position: usize) -> bool {
        !(self & Self::one(position)).is_empty()
    }

    /// Whether all of `other` is in it.
    pub fn contains_all(self, other: Self) -> bool {
        self & other == other
    }

    /// The positions, ascending.
    pub fn positions(self) -> impl Iterator<Item = usize> + Clone {
        (0..Self::CAPACITY).filter(move |&position| self.contains(position))
    }
}

impl std::ops::BitOr for Set {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitAnd for Set {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl FromIterator<usize> for Set {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        positions
            .into_iter()
            .fold(Self::default(), |set, position| set | Self::one(position))
    }
}
