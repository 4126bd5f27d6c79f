//! The ops, by family: each file has a table of its kernels.

mod activation;
mod attention;
mod binary;
mod classify;
mod constexpr;
mod conv;
mod einsum;
mod gather;
mod linear;
mod lists;
mod make;
mod movement;
mod nms;
mod norm;
mod order;
mod pool;
mod quantize;
mod random;
mod recurrent;
mod reduction;
mod resize;
mod sample;
mod scatter;
mod shape;
mod slice;
mod spatial;
mod states;
mod unary;
mod window;

use crate::kernel::{Kernel, Table};

const CONTROL: Table = &[("cond", Kernel::Blocks), ("while_loop", Kernel::Blocks)];

/// All tables.
pub(crate) const TABLES: &[Table] = &[
    CONTROL,
    activation::TABLE,
    attention::TABLE,
    binary::TABLE,
    classify::TABLE,
    constexpr::TABLE,
    conv::TABLE,
    einsum::TABLE,
    gather::TABLE,
    linear::TABLE,
    lists::TABLE,
    make::TABLE,
    movement::TABLE,
    nms::TABLE,
    norm::TABLE,
    order::TABLE,
    pool::TABLE,
    quantize::TABLE,
    random::TABLE,
    recurrent::TABLE,
    reduction::TABLE,
    resize::TABLE,
    sample::TABLE,
    scatter::TABLE,
    shape::TABLE,
    slice::TABLE,
    spatial::TABLE,
    states::TABLE,
    unary::TABLE,
];
