//! Elementwise ops of one operand.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];
