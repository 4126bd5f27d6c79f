//! A NeuralNetwork whose weights, which stand inside the specification, are large.

use std::io;
use std::path::Path;

use coreml_proto::spec::activation_params::NonlinearityType;
use coreml_proto::spec::convolution_layer_params::ConvolutionPaddingType;
use coreml_proto::spec::neural_network_layer::Layer;
use coreml_proto::spec::{
    ActivationParams, ActivationReLu, AddBroadcastableLayerParams, ConvolutionLayerParams,
    FeatureDescription, FlattenTo2DLayerParams, InnerProductLayerParams, Model, ModelDescription,
    NeuralNetwork, NeuralNetworkLayer, NeuralNetworkMultiArrayShapeMapping, SamePadding, WeightParams, model,
};
use prost::Message;

use super::package::array;
use super::random::Random;
use super::refused;

/// The specification version that brought layers over arrays of any rank.
const SPECIFICATION: i32 = 4;
const CHANNELS: u64 = 512;
const SHAPE: [i64; 4] = [1, CHANNELS as i64, 6, 5];
/// What the inner product at the end sees: all of one image.
const FLAT: u64 = CHANNELS * 6 * 5;

/// Writes a model file with about `weight_bytes` bytes of weights at `path`, which is overwritten.
///
/// Residual blocks (convolution, relu, and a sum spelt as `addBroadcastable`, which a rewrite can change) hold half of
/// the weights, one inner product at the end the other half. All weights are packed 32-bit floats. The whole model is
/// in memory while it is written.
///
/// # Errors
/// Where the system cannot write there, or `weight_bytes` is too little for one block and one row (19 MB).
pub fn large_network(path: &Path, weight_bytes: u64, seed: u64) -> io::Result<()> {
    let kernel = CHANNELS * CHANNELS * 9;
    let blocks = weight_bytes / 2 / (kernel * 4);
    let rows = weight_bytes.saturating_sub(blocks * kernel * 4) / (FLAT * 4);
    if blocks == 0 || rows == 0 {
        return Err(refused(format!(
            "{weight_bytes} bytes are too few for a block and a row of the inner product"
        )));
    }
    let mut random = Random::new(seed);
    let mut layers = Vec::new();
    let mut x = "x".to_owned();
    for block in 0..blocks {
        let convolution = Box::new(ConvolutionLayerParams {
            output_channels: CHANNELS,
            kernel_channels: CHANNELS,
            n_groups: 1,
            kernel_size: vec![3, 3],
            stride: vec![1, 1],
            dilation_factor: vec![1, 1],
            has_bias: true,
            weights: Some(weights(&mut random, kernel)?),
            bias: Some(weights(&mut random, CHANNELS)?),
            convolution_padding_type: Some(ConvolutionPaddingType::Same(SamePadding::default())),
            ..Default::default()
        });
        let relu = NonlinearityType::ReLu(ActivationReLu {});
        let relu = Layer::Activation(ActivationParams { nonlinearity_type: Some(relu) });
        let sum = Layer::AddBroadcastable(AddBroadcastableLayerParams {});
        let names = ["convolution", "relu", "sum"].map(|layer| format!("block_{block}_{layer}"));
        layers.push(layer(&[&x], &names[0], Layer::Convolution(convolution)));
        layers.push(layer(&[&names[0]], &names[1], relu));
        layers.push(layer(&[&x, &names[1]], &names[2], sum));
        [.., x] = names;
    }
    layers.push(layer(&[&x], "flat", Layer::FlattenTo2D(FlattenTo2DLayerParams { axis: 1 })));
    let product = Layer::InnerProduct(InnerProductLayerParams {
        input_channels: FLAT,
        output_channels: rows,
        weights: Some(weights(&mut random, FLAT * rows)?),
        ..Default::default()
    });
    layers.push(layer(&["flat"], "y", product));
    let network = NeuralNetwork {
        layers,
        array_input_shape_mapping: NeuralNetworkMultiArrayShapeMapping::ExactArrayMapping as i32,
        ..Default::default()
    };
    let description = ModelDescription {
        input: vec![feature("x", &SHAPE)],
        output: vec![feature("y", &[1, rows as i64])],
        ..Default::default()
    };
    let model = Model {
        specification_version: SPECIFICATION,
        description: Some(description),
        r#type: Some(model::Type::NeuralNetwork(network)),
        ..Default::default()
    };
    std::fs::write(path, model.encode_to_vec())
}

fn layer(inputs: &[&str], output: &str, layer: Layer) -> NeuralNetworkLayer {
    NeuralNetworkLayer {
        name: output.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        layer: Some(layer),
        ..Default::default()
    }
}

fn feature(name: &str, shape: &[i64]) -> FeatureDescription {
    FeatureDescription { name: name.to_owned(), r#type: Some(array(shape)), ..Default::default() }
}

fn weights(random: &mut Random, count: u64) -> io::Result<WeightParams> {
    let mut bytes = Vec::new();
    random.write_singles(count, &mut bytes)?;
    let float_value = bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
    Ok(WeightParams { float_value, ..Default::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_as_large_as_its_weights() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.mlmodel");
        large_network(&path, 40_000_000, 1).unwrap();
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert!((39_900_000..40_100_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn too_few_weights_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(large_network(&folder.path().join("m.mlmodel"), 9_000_000, 1).is_err());
    }
}
