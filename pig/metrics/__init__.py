"""Measures: the overlap of masks and the Frechet distance between sets of images."""
