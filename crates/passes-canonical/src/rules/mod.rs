//! The rules, in the order in which they are tried.

use anewrite_rewrite::Rule;

mod c001_dead_code;
mod c002_duplicate_constants;
mod c003_duplicate_ops;
mod c010_identity_moves;
mod c011_identity_arithmetic;
mod c012_compose_transposes;
mod c013_compose_reshapes;
mod c014_compose_casts;
mod c015_cancel_transposes;
mod c020_known_integers;
mod c021_fold_constants;
mod content;
mod elementwise;

/// Every canonical rule.
pub fn rules() -> &'static [&'static dyn Rule] {
    &[
        &c001_dead_code::DeadCode,
        &c002_duplicate_constants::DuplicateConstants,
        &c003_duplicate_ops::DuplicateOps,
        &c010_identity_moves::IdentityMoves,
        &c011_identity_arithmetic::IdentityArithmetic,
        &c012_compose_transposes::ComposeTransposes,
        &c013_compose_reshapes::ComposeReshapes,
        &c014_compose_casts::ComposeCasts,
        &c015_cancel_transposes::CancelTransposes,
        &c020_known_integers::KnownIntegers,
        &c021_fold_constants::FoldConstants,
    ]
}
