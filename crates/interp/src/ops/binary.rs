//! Elementwise ops of two operands.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];
