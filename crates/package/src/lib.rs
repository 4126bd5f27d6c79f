//! Core ML files on disk: model files, packages, manifests and weight blob files
