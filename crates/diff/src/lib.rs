//! Structural comparison of two programs, and the reports made from it
