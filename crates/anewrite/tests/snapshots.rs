//! What rewriting does to models of testdata/, for review: what fired, and the diff.

use std::fmt::Write;
use std::path::Path;

use anewrite::{Model, RewriteOptions, Selection, rewrite};

/// Forced are rules of which the target gains nothing, as in models that compute in 32 bits.
fn review(path: &str, forced: &[&str]) -> String {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path);
    let model = Model::open(full).unwrap();
    let selection = Selection::default().force(forced).unwrap();
    let done = rewrite(&model, &RewriteOptions { selection, ..RewriteOptions::default() }).unwrap();
    let mut out = String::new();
    for part in &done.report.parts {
        for f in &part.firings {
            writeln!(out, "{} {} at {}: -{:?} +{:?}", f.number, f.code, f.at, f.removed, f.added).unwrap();
        }
    }
    write!(out, "{}", done.diff()).unwrap();
    out
}

macro_rules! snapshots {
    ($($name:ident: $path:literal $(, forced $code:literal)?;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(review($path, &[$($code)?]));
        }
    )*};
}

snapshots! {
    canonical: "generated/canonical/mixed-iOS16.mlpackage";
    max_pool: "generated/m001_max_pool/fp16-iOS16.mlpackage";
    conv: "generated/m002_conv/fp16-iOS16.mlpackage";
    band: "generated/m004_band/fp16-iOS16.mlpackage", forced "M004";
    gather: "generated/m006_gather/fp16-iOS16.mlpackage", forced "M006";
    add_broadcastable: "generated/n001_add/nn.mlmodel";
    add_broadcastable_forced: "generated/n001_add/nn.mlmodel", forced "N001";
    split_nd: "generated/n005_split/nn.mlmodel";
    ironmill: "models/ironmill_mnist_base.mlpackage";
    silero_int8: "models/silero_vad_unified_int8.mlpackage";
    multiply_broadcastable: "generated/n002_multiply/nn.mlmodel";
    subtract_broadcastable: "generated/n003_subtract/nn.mlmodel";
    subtract_broadcastable_forced: "generated/n003_subtract/nn.mlmodel", forced "N003";
}
