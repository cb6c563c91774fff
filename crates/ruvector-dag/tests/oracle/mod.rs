//! Naive twins: the definitions, word by word.

pub(crate) mod attention;
