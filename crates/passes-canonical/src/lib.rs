//! Canonical clean-up rules (C)
