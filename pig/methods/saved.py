"""Saving and loading for methods that are their networks, alone or on top of a trained part."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pig.methods.model_folder import check_needs, copy_part, load_part, load_weights, save_weights


class SavedNetworks:
    """A method whose weights are those of its networks.

    Attributes:
        networks: the names of the attributes that hold them, and of their files.
    """

    networks: ClassVar[tuple[str, ...]]

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def save(self, path: Path) -> None:
        """Write the weights."""
        save_weights(path, **{name: getattr(self, name) for name in self.networks})

    @classmethod
    def load(cls, path: Path, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> Self:
        """Return the method whose weights lie in ``path``."""
        method = cls(model, sampling)
        load_weights(path, **{name: getattr(method, name) for name in cls.networks})
        return method


class OnTrainedPart(SavedNetworks):
    """A method whose networks are built on a trained part, of which it keeps a copy beside its own weights.

    Attributes:
        role: of the part, in the configuration's ``needs`` and as the name of its folder.
    """

    role: ClassVar[str]
    model: Any

    def build_on(self, part: Any) -> None:
        """Build the networks on the loaded part."""
        raise NotImplementedError

    def start(self, needs: Mapping[str, Path]) -> None:
        """Build the networks of a training on the part that ``needs`` names.

        Raises:
            UserError: it names none, or one of another class.
        """
        check_needs(self.model.needs, needs)
        self._use(needs[self.role])

    def _use(self, part: Path) -> None:
        self._part = part
        self.build_on(load_part(part))

    def save(self, path: Path) -> None:
        """Write the weights, and the part beside them, so that the folder stands alone."""
        super().save(path)
        copy_part(self._part, path / self.role)

    @classmethod
    def load(cls, path: Path, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> Self:
        """Return the method whose weights lie in ``path``."""
        method = cls(model, sampling)
        method._use(path / cls.role)
        load_weights(path, **{name: getattr(method, name) for name in cls.networks})
        return method
