//! The Core ML specification's messages, and wire-level access to them that loses nothing
