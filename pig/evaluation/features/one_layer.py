"""What torch-fidelity wants of a network that gives one kind of features."""

from typing import Any

from torch_fidelity.feature_extractor_base import FeatureExtractorBase


class OneLayer(FeatureExtractorBase):  # type: ignore[misc]
    """A network whose ``forward`` takes uint8 images [N, 3, H, W] and returns one tensor, float32 [N, D], in a tuple.

    Args:
        name: under which it is registered.
        features_list: ``[OneLayer.LAYER]``.
        feature_extractor_weights_path: file or folder of its weights.
    """

    LAYER = "features"

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: str, **_: Any) -> None:
        super().__init__(name, features_list)
        self.load(feature_extractor_weights_path)

    def load(self, weights: str) -> None:
        """Build the network with its weights."""
        raise NotImplementedError

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Name the features."""
        return (OneLayer.LAYER,)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """Name the features of a metric."""
        return OneLayer.LAYER

    @staticmethod
    def can_be_compiled() -> bool:
        """Tell whether torch.compile may wrap it."""
        return False
