//! Which row of the tables is which kind of finding.

use anewrite_diag::Severity;

/// Rows by the number of the code that they are found under.
const CAUSES: &[(u16, &[&str])] = &[
    (
        1,
        &[
            "no-function",
            "no-movement",
            "no-movement-second-scan",
            "arg-reductions",
            "crop-resize",
            "lists",
            "random",
            "classify",
            "nn-mod",
            "nn-no-function",
            "nn-scatter",
            "nn-sliding-windows",
            "nn-sort",
            "nn-band",
            "nn-one-hot",
            "nn-boxes",
            "nn-reverse-sequence",
            "nn-shape-values",
            "nn-dynamic-shapes",
            "nn-batched-matmul",
            "nn-random",
            "nn-cumsum",
            "logical-and-refused",
            "cumsum-elsewhere",
        ],
    ),
    (
        2,
        &[
            "sine-older",
            "samplers-older",
            "gather-m1",
            "floor-m1",
            "split-m1",
            "topk-m1",
            "topk-m3",
            "nn-floor",
            "cast-fp32-m1",
            "upsample-old-factor",
            "nn-upsample-factor",
            "nn-multiply-channels",
        ],
    ),
    (
        3,
        &[
            "logical-or",
            "reshape-like",
            "slice-update",
            "conv-quantized",
            "conv-3d-older",
            "conv-dynamic-weights",
            "conv-depthwise-1d",
            "gather-along-elsewhere",
            "topk-m2",
            "nn-embedding-unclear",
            "nn-split",
            "nn-min-max-old",
            "nn-not-seen",
            "nn-reduce-product",
            "nn-crop-resize",
            "nn-broadcastable-unclear",
            "nn-like-mil",
            "nn-convolution-3d",
            "nn-floor-elsewhere",
            "nn-sine",
            "nn-logic",
            "nn-broadcast-to",
            "nn-top-k",
        ],
    ),
    (4, &["nn-custom"]),
    (5, &["recurrent", "nn-recurrent"]),
    (6, &["control-flow", "nn-control-flow"]),
    (
        7,
        &[
            "gather-dynamic",
            "slice-dynamic",
            "gather-index-type",
            "gather-table-rows",
            "nn-gather",
            "nn-slice-dynamic",
            "nn-embedding-nd",
            "nn-embedding",
        ],
    ),
    (8, &["nn-broadcastable-old", "nn-nd"]),
    (9, &["no-engine"]),
    (10, &["dtype-int32"]),
    (11, &["dtype-fp32"]),
    (12, &["dtype-other", "dtype-narrow-int", "tile-bool", "attention-bool-mask"]),
    (13, &["dynamic-shape", "layer-norm-enumerated"]),
    (
        14,
        &[
            "rank",
            "nn-rank",
            "matmul-rank-5",
            "linear-rank",
            "attention-rank-5",
            "prelu-rank",
            "space-to-batch-3d",
        ],
    ),
    (
        15,
        &[
            "axis-w",
            "axis-h",
            "axis-c",
            "axis-d",
            "axis-n",
            "axis-leading",
            "axis-leading-unclear",
            "axis-c-disputed",
            "nn-axis-w",
            "transpose-extent",
            "lrn-channels",
        ],
    ),
    (
        20,
        &[
            "conv-kernel-width",
            "conv-kernel-height",
            "conv-kernel-large-mode",
            "conv-kernel-16x16",
            "conv-kernel-depth",
            "conv-transpose-small-kernel",
            "nn-convolution-kernel",
        ],
    ),
    (
        21,
        &[
            "max-pool-width",
            "max-pool-width-32",
            "max-pool-height",
            "avg-pool-window",
            "nn-pooling-window",
            "nn-pooling-window-newer",
        ],
    ),
    (22, &["conv-stride", "conv-transpose-stride", "pool-stride", "max-pool-stride-3", "nn-pooling-stride"]),
    (23, &["conv-dilation", "conv-dilation-m2", "conv-transpose-dilation", "nn-convolution-dilated"]),
    (
        24,
        &[
            "matmul-inner",
            "matmul-inner-transposed",
            "linear-inner",
            "linear-outputs",
            "linear-outputs-m1",
            "nn-inner-product-input",
        ],
    ),
    (25, &["attention-size"]),
    (
        26,
        &[
            "tile-factor",
            "shuffle-factor",
            "pad-value",
            "pad-reflect",
            "resample-reflection",
            "topk-size",
            "conv-dynamic-weights-batch",
            "nn-upsample-factor-newer",
            "nn-pad-value",
        ],
    ),
    (27, &["conv-slow-compile", "concat-fan-in"]),
    (31, &["epsilon-vanishes", "nn-epsilon-vanishes"]),
    (
        34,
        &[
            "softplus-collapses",
            "exp-overflows",
            "square-overflows",
            "log-sum-exp-overflows",
            "nn-log-sum-exp-overflows",
        ],
    ),
    (
        35,
        &[
            "division-rounding",
            "log-of-zero",
            "small-values-flushed",
            "slice-last-axis-saturates",
            "nn-slice-saturates",
            "gather-nd-zeros",
        ],
    ),
    (40, &["model-ops"]),
    (41, &["model-size-ios", "model-size-macos"]),
    (44, &["weights-palette-bits", "weights-int8-small", "weights-blockwise", "weights-rare"]),
    (45, &["model-enumerated-shapes"]),
    (46, &["state-width", "state-through-movement"]),
    (47, &["model-conv-chain"]),
    (48, &["topk-slow", "weight-transfer-notch"]),
    (49, &["nn-weights-half", "nn-weights-quantised"]),
];

/// Remarks that are worth a warning; the others are for the curious.
const WARNINGS: &[&str] = &[
    "epsilon-vanishes",
    "nn-epsilon-vanishes",
    "gather-nd-zeros",
    "conv-slow-compile",
    "model-ops",
    "model-size-ios",
    "model-size-macos",
    "model-enumerated-shapes",
    "model-conv-chain",
    "state-through-movement",
];

/// The number of the code for a row that keeps an op off the engine, leaves it open, or makes a remark. Rows that say yes
/// and are too weak to count are under "not known".
pub(super) fn of_row(id: &str) -> u16 {
    let listed = CAUSES.iter().find(|(_, rows)| rows.contains(&id));
    listed.map_or(NOT_KNOWN, |(code, _)| *code)
}

/// The rows of the tables behind a code; none where a finding is made of more than one op.
pub fn rows_of(code: anewrite_diag::Code) -> &'static [&'static str] {
    let listed = CAUSES.iter().find(|(number, _)| *number == code.number());
    listed.map_or(&[], |(_, rows)| rows)
}

/// The code of ops of which nobody knows.
pub(super) const NOT_KNOWN: u16 = 3;

/// The severity of a remark.
pub(super) fn severity_of_note(id: &str) -> Severity {
    if WARNINGS.contains(&id) { Severity::Warning } else { Severity::Note }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use anewrite_ane::{Status, known_ops, rows};
    use anewrite_diag::{Code, kind};

    use super::*;

    #[test]
    fn every_row_that_can_speak_against_an_op_has_one_code() {
        let of_all: BTreeSet<&str> = known_ops()
            .flat_map(rows)
            .filter(|row| row.status != Status::Yes)
            .map(|row| row.id.as_str())
            .collect();
        let mut listed = BTreeSet::new();
        for (code, rows) in CAUSES {
            assert!(kind(Code::new(*code)).is_some(), "{code} is no code");
            for row in *rows {
                assert!(listed.insert(*row), "{row} stands twice");
            }
        }
        assert_eq!(listed, of_all);
        assert!(WARNINGS.iter().all(|row| listed.contains(row)));
    }

    #[test]
    fn newer_engines_only_means_what_it_says() {
        let newer_only = CAUSES.iter().find(|(code, _)| *code == 2).unwrap().1;
        for id in newer_only {
            let row = anewrite_ane::row(id).unwrap();
            assert!(!row.families.contains(anewrite_ane::Family::H18), "{id} speaks of the newest");
        }
    }
}
