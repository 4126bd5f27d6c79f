//! Products by equation.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];
