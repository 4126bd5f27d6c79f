//! The graph: programs, blocks, ops, values, schemas, type inference, verifier and text form
