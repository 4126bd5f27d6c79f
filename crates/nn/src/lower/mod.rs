//! The lowerings, by family. Each takes a [`Cx`] and returns the values of the layer's outputs.
//!
//! Facts about layers follow the format's description of each message and coremltools' conversion from MIL ops to
//! layers, read backwards.

mod activation;
mod broadcast;
mod compressed;
mod constant;
mod context;
mod conv;
mod elementwise;
mod index;
mod mask;
mod matrix;
mod nms;
mod normalize;
mod pool;
mod random;
mod rearrange;
mod recurrent;
mod reduce;
mod resize;
mod shape;
mod slice;
mod weights;

use smallvec::SmallVec;

use anewrite_ir::{Builder, ValueId};

use crate::call::LayerCall;
use crate::error::{LowerError, Reason};
use crate::registry;

pub(crate) use context::{Cx, whole_numbers};
pub(crate) use rearrange::To;

/// The values of a layer's outputs.
pub(crate) type Values = SmallVec<[ValueId; 1]>;
/// What a lowering returns.
pub(crate) type Lowered = Result<Values, Reason>;
/// One value of a lowering.
pub(crate) type One = Result<ValueId, Reason>;
/// A lowering; the text is what tells layers that share one apart.
pub(crate) type Rule = fn(&mut Cx<'_, '_>, &'static str) -> Lowered;

pub(crate) mod rules {
    //! Every lowering, for the registry.
    pub(crate) use super::activation::{activation, clamped_relu, clip, gelu};
    pub(crate) use super::broadcast::{broadcast_dynamic, broadcast_like, broadcast_static};
    pub(crate) use super::constant::{fill_dynamic, fill_like, fill_static, load_constant, load_constant_nd};
    pub(crate) use super::constant::{get_shape, range_dynamic, range_static};
    pub(crate) use super::conv::{convolution, convolution3d};
    pub(crate) use super::elementwise::{average, chain, compare, copy, dot, logical, logical_not, pair};
    pub(crate) use super::elementwise::{inverse_hyperbolic, same_op, unary, where_broadcastable};
    pub(crate) use super::index::{argmax, argsort, cumsum, gather, gather_along_axis, gather_nd, non_zero};
    pub(crate) use super::index::{one_hot, scatter, scatter_along_axis, scatter_nd, topk};
    pub(crate) use super::mask::{matrix_band_part, triangular};
    pub(crate) use super::matrix::{batched_matmul, embedding, embedding_nd, inner_product};
    pub(crate) use super::nms::nms;
    pub(crate) use super::normalize::{batchnorm, bias, l2_normalize, layer_normalization, lrn, mvn, scale};
    pub(crate) use super::normalize::{softmax, softmax_nd};
    pub(crate) use super::pool::{global_pooling3d, pooling, pooling3d};
    pub(crate) use super::random::{bernoulli, categorical, normal, uniform};
    pub(crate) use super::recurrent::{bidirectional_lstm, gru, simple_recurrent, unidirectional_lstm};
    pub(crate) use super::reduce::{reduce, reduce_nd};
    pub(crate) use super::resize::{constant_pad, crop, crop_resize, padding, resize_bilinear, upsample};
    pub(crate) use super::shape::{concat, concat_nd, flatten_to_2d, permute, rank_preserving_reshape};
    pub(crate) use super::shape::{expand_dims, flatten};
    pub(crate) use super::shape::{reorganize, reshape, reshape_dynamic, reshape_like, reshape_static};
    pub(crate) use super::shape::{
        reverse, reverse_sequence, sequence_repeat, split, split_nd, squeeze, stack,
    };
    pub(crate) use super::shape::{tile, transpose};
    pub(crate) use super::slice::{slice, slice_by_size, slice_dynamic, slice_static, sliding_windows};
}

/// Writes a layer as MIL ops at the builder's place: the layer's one definition, read by shape inference,
/// evaluation and the upgrade to an ML Program.
///
/// `inputs` are the layer's data inputs, in the shapes that [`Mapping`](crate::Mapping) gives them; the returned
/// values are its outputs, in order. An output may be one of the inputs (`copy`) or a constant (`loadConstant`).
///
/// # Errors
/// Where a field, an input or the weights do not fit, where MIL has no op for what the layer means, and for
/// layers without a meaning in the format (`custom`). Ops made so far stay in the program.
///
/// ```
/// use anewrite_ir::{Attr, Builder, DialectId, Opset, Place, Program, TensorType};
/// use anewrite_ir::{dims::DimTable, infer::Facts, mil::Mil};
/// use anewrite_nn::{LayerCall, lower};
/// use anewrite_tensor::DType;
///
/// let mut p = Program::new(DialectId::Mil);
/// let (_, body) = p.add_function("main", "CoreML6");
/// let x = p.add_arg(body, "x", TensorType::fixed(DType::F32, [2, 3, 5]).into());
/// let y = p.add_arg(body, "y", TensorType::fixed(DType::F32, [3, 1]).into());
/// let (mut facts, mut dims) = (Facts::default(), DimTable::default());
/// let mut b = Builder::new(&mut p, &mut facts, &mut dims, &Mil, Opset::Ios16, Place::End(body));
/// let fields = vec![];
/// let out = lower(&LayerCall::new("addBroadcastable", &fields), &mut b, &[x, y]).unwrap();
/// assert_eq!(b.tensor(out[0]).unwrap().to_string(), "tensor<fp32, [2, 3, 5]>");
/// ```
pub fn lower(
    layer: &LayerCall<'_>,
    b: &mut Builder<'_>,
    inputs: &[ValueId],
) -> Result<Vec<ValueId>, LowerError> {
    run(layer, b, inputs).map_err(|reason| LowerError { layer: layer.kind.to_owned(), reason })
}

fn run(layer: &LayerCall<'_>, b: &mut Builder<'_>, inputs: &[ValueId]) -> Result<Vec<ValueId>, Reason> {
    let known =
        registry::layer(layer.kind).ok_or(Reason::Opaque("it is not one of the format's layer types"))?;
    let (rule, with) = known.rule()?;
    let mut cx = Cx::new(layer, b, inputs);
    // Layers of specification 4 and later count their axes on the tensor as it is, so they see all five.
    let explicit = known.since >= 4;
    if explicit {
        cx.make_inputs_explicit()?;
    }
    let mut out = rule(&mut cx, with)?.into_vec();
    if explicit {
        for v in &mut out {
            *v = cx.canonical(*v)?;
        }
    }
    match layer.outputs {
        Some(n) if n > out.len() => {
            Err(Reason::field("output", format!("{n} outputs are named, the layer has {}", out.len())))
        }
        Some(n) => {
            out.truncate(n);
            Ok(out)
        }
        None => Ok(out),
    }
}
