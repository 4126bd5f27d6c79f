//! Random graphs and models for tests and benches
