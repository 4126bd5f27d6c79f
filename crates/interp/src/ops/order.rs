//! Ops about order and position: topk, argsort, cumsum, one_hot, non_zero.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];
