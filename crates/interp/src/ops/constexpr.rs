//! Compressed weights.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];
