//! The agreement with what Core ML's planner printed on an M4, row by row.

use anewrite_ane::score;

#[test]
fn the_planner_of_an_m4() {
    let score = score(include_str!("data/planner_m4_ops.tsv")).expect("the table reads");
    assert_eq!((score.rows, score.eligible), (310, 310), "{score}");
    assert_eq!((score.estimates, score.with_formula, score.reproduced), (849, 840, 840), "{score}");
    assert_eq!((score.models, score.chosen), (263, 263), "{score}");
}
