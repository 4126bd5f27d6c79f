//! The NeuralNetwork dialect: layer schemas and each layer's lowering to MIL ops
