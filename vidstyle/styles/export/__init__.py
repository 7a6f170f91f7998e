"""A style in the formats of other programs: `.cube` and ONNX."""
