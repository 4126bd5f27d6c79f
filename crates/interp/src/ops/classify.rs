//! Classifiers and boxes.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];
