//! Makes existing Core ML models run on the Apple Neural Engine: check, rewrite, diff, show
