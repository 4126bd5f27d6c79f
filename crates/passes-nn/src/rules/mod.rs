//! The rules, in the order in which they are tried.

use anewrite_rewrite::Rule;

mod axes;
mod functions;
mod known;
mod layers;
mod n001_add_broadcastable;
mod n002_multiply_broadcastable;
mod n003_subtract_broadcastable;
mod n004_concat_nd;
mod n005_split_nd;
mod n006_load_constant_nd;
mod n007_extremum_broadcastable;
mod n008_divide_broadcastable;
mod n009_divide_tensors;
mod n010_softmax_nd;
mod n011_reduce_nd;
mod n012_slice_static;
mod n013_constant_pad;
mod n014_batched_matmul;
mod n015_upsample;
mod n016_transpose;
mod n017_gather;
mod n018_power;
mod n019_compare_with_number;
mod n020_modulo;
mod n021_logic;
mod n022_gelu;
mod n023_clip;
mod n024_functions;
mod n025_layer_normalization;
mod n026_multiply_channels;
mod n027_product_tree;
mod n028_log_sum_exp;
mod n029_means_and_dots;
mod n030_max_pool;
mod n031_pool_stride;
mod n032_dilated_convolution;
mod n033_bilinear_upsample;
mod n034_tile;
mod n035_broadcast_operand;
mod n036_embedding_nd;
mod n037_reshape;
mod n038_slice_constant;
mod n039_cumulative_sum;
mod n040_reverse;
mod n041_arg_max;
mod n042_known_values;
mod n043_axes_of_five;
mod n044_average_pool;
mod n045_simple_recurrent;
mod n046_unidirectional_lstm;
mod n047_gru;
mod n048_bidirectional_lstm;
mod operands;
mod recurrent;
mod window;

#[cfg(test)]
mod bench;

/// Every rule for NeuralNetwork layers.
pub fn rules() -> &'static [&'static dyn Rule] {
    &[
        &n001_add_broadcastable::AddBroadcastable,
        &n002_multiply_broadcastable::MultiplyBroadcastable,
        &n003_subtract_broadcastable::SubtractBroadcastable,
        &n004_concat_nd::ConcatNd,
        &n005_split_nd::SplitNd,
        &n006_load_constant_nd::LoadConstantNd,
        &n007_extremum_broadcastable::ExtremumBroadcastable,
        &n008_divide_broadcastable::DivideBroadcastable,
        &n009_divide_tensors::DivideTensors,
        &n010_softmax_nd::SoftmaxNd,
        &n011_reduce_nd::ReduceNd,
        &n012_slice_static::SliceStatic,
        &n013_constant_pad::ConstantPad,
        &n014_batched_matmul::BatchedMatmul,
        &n015_upsample::Upsample,
        &n016_transpose::Transpose,
        &n017_gather::Gather,
        &n018_power::Power,
        &n019_compare_with_number::CompareWithNumber,
        &n020_modulo::Modulo,
        &n021_logic::Logic,
        &n022_gelu::Gelu,
        &n023_clip::Clip,
        &n024_functions::Functions,
        &n025_layer_normalization::LayerNormalization,
        &n026_multiply_channels::MultiplyChannels,
        &n027_product_tree::ProductTree,
        &n028_log_sum_exp::LogSumExp,
        &n029_means_and_dots::MeansAndDots,
        &n030_max_pool::MaxPool,
        &n031_pool_stride::PoolStride,
        &n032_dilated_convolution::DilatedConvolution,
        &n033_bilinear_upsample::BilinearUpsample,
        &n034_tile::Tile,
        &n035_broadcast_operand::BroadcastOperand,
        &n036_embedding_nd::EmbeddingNd,
        &n037_reshape::Reshape,
        &n038_slice_constant::SliceConstant,
        &n039_cumulative_sum::CumulativeSum,
        &n040_reverse::Reverse,
        &n041_arg_max::ArgMax,
        &n042_known_values::KnownValues,
        &n043_axes_of_five::AxesOfFive,
        &n044_average_pool::AveragePool,
        &n045_simple_recurrent::SimpleRecurrent,
        &n046_unidirectional_lstm::UnidirectionalLstm,
        &n047_gru::Gru,
        &n048_bidirectional_lstm::BidirectionalLstm,
    ]
}
