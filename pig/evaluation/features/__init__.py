"""The features that images are compared by: four networks, each in a file of its own, behind one class."""

from pig.evaluation.features.extractor import Extractor, Features

__all__ = ["Extractor", "Features"]
