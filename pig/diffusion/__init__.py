"""The mathematics of diffusion: tensors in, tensors out; no files, no networks of its own."""
