//! The rules, in the order in which they are tried.

use anewrite_rewrite::Rule;

mod finite;
mod m001_split_max_pool;
mod m002_split_wide_conv;
mod m003_split_upsample;
mod m004_band_mask;
mod m005_unroll_cumsum;
mod m006_gather_slices;
mod window;

/// Every rule for ML Program ops.
pub fn rules() -> &'static [&'static dyn Rule] {
    &[
        &m001_split_max_pool::SplitMaxPool,
        &m002_split_wide_conv::SplitWideConv,
        &m003_split_upsample::SplitUpsample,
        &m004_band_mask::BandMask,
        &m005_unroll_cumsum::UnrollCumsum,
        &m006_gather_slices::GatherSlices,
    ]
}
