//! What the report says of the plan before and after.

use std::path::Path;

use anewrite::{Model, RewriteOptions, Target, rewrite};

fn close(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-12, "{got} for {want}");
}

#[test]
fn a_pool_that_becomes_eligible_shows_as_a_gain() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/generated/m001_max_pool/fp16-iOS16.mlpackage");
    let model = Model::open(path).unwrap();
    let target = Some(Target::parse("m4,h13").unwrap());
    let done = rewrite(&model, &RewriteOptions { target, ..RewriteOptions::default() }).unwrap();
    let plans = &done.report.parts[0].plans;
    let h16 = plans.iter().find(|p| p.families == ["H16"]).unwrap();
    assert_eq!(h16.estimates, "measured");
    // Bytes of the casts: 1200 elements in, 560 out, 6 bytes for each. The pool compares 117 elements for each of 560
    // outputs; then 64 for each of 1440, and 12 for each of 560.
    let casts = 6.0 * (1200.0 + 560.0);
    close(h16.before.eligible, casts / (casts + 117.0 * 560.0));
    close(h16.after.eligible, 1.0);
    // Far too little to go to the engine for.
    assert_eq!((h16.before.segments, h16.after.segments, h16.after.boundaries), (0, 0, 0));
    assert!(plans.iter().any(|p| p.families == ["H13"] && p.estimates == "guess"));
}

#[test]
fn what_stays_or_is_only_cleaned_up_has_no_plans() {
    for (path, fires) in
        [("m006_gather/fp16-iOS16.mlpackage", false), ("canonical/mixed-iOS16.mlpackage", true)]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/generated").join(path);
        let model = Model::open(path).unwrap();
        let done = rewrite(&model, &RewriteOptions::default()).unwrap();
        assert_eq!(done.report.changed, fires);
        assert!(done.report.parts.iter().all(|p| p.plans.is_empty()));
    }
}
