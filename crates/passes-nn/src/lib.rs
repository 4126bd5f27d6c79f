//! Rules for NeuralNetwork layers (N)
