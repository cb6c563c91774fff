//! The fixed 64-bit hash of this crate's keys: splitmix64's finalizer (Steele, Lea and Flood 2014) over a running
//! state. Keys are stored in tables, so the numbers must never change.

/// Mixes one word into a state.
pub(crate) fn mix(state: u64, word: u64) -> u64 {
    let mut z = (state ^ word.wrapping_mul(0xff51_afd7_ed55_8ccd)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The hash of a sequence of words; order and length matter.
pub fn hash_words(words: impl IntoIterator<Item = u64>) -> u64 {
    let (state, length) = words
        .into_iter()
        .fold((0x5851_f42d_4c95_7f2d, 0u64), |(state, length), word| {
            (mix(state, word), length + 1)
        });
    mix(state, length)
}

/// The hash of bytes; length matters.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    mix(hash_words(words), bytes.len() as u64)
}
