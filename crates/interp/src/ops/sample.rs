//! Sampling by coordinates.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];
