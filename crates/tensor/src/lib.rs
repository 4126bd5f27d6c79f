//! Element types, shapes and constant payloads that may lie unaligned in a mapped file
