//! Rules for ML Program ops (M)
