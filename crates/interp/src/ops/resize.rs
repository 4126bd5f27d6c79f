//! Resizing, upsampling and cropping.

use crate::kernel::Table;

pub(crate) const TABLE: Table = &[];
