//! Ops that move elements: transposes, joins, splits, tiles, padding.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];
