"""The path of a generator on NVIDIA GPUs."""
