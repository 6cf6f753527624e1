"""Exporting: a trained model as one ONNX file and as a SavedModel."""
