"""Whether the settings of a study can work, told before anything runs by the dataclasses that the jobs use."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pig.data.phantom.settings import PhantomSettings
from pig.data.settings import PreprocessSettings
from pig.evaluation.settings import NnunetSettings, SegmentationSettings
from pig.methods.settings import needs_errors
from pig.study.arms import arms_of, studies_phantom
from pig.study.definitions import class_attributes, derives, settings_class
from pig.system.errors import UserError
from pig.system.imports import find_class
from pig.system.settings import Error, SettingsError, parse

Config = Mapping[str, Any]


def settings_errors(config: Config) -> Iterator[str]:
    """Yield a sentence for all that a job would refuse of a configuration whose structure is right."""
    dataset, segmentation = config["dataset"], config["segmentation"]
    errors: list[Error] = []
    if studies_phantom(dataset):
        _read(PhantomSettings, dataset["phantom"], "dataset.phantom", errors)
    prepared = _read(PreprocessSettings, config["preprocessing"], "preprocessing", errors)
    own = {key: value for key, value in segmentation.items() if key != "seeds"}
    _read(SegmentationSettings, own, "segmentation", errors)
    size = {"image_size": max(segmentation["image_size"], 1)}  # whose own error is the segmentation's
    _read(NnunetSettings, size | config["nnunet"], "nnunet", errors)
    errors += _class_errors(config)
    generators = {name: entry for name, entry in config["generators"].items() if _is_class(entry["class"])}
    errors += _Generators(generators, prepared.channels if prepared else 1).errors
    yield from (f"{key}: {sentence}" for key, sentence in errors)


def _read(cls: type[Any], mapping: Config, where: str, errors: list[Error]) -> Any:
    """Return the settings, even those that are refused, or None; append what is wrong to ``errors``."""
    try:
        return parse(cls, mapping, where)
    except SettingsError as error:
        errors += error.errors
        return error.settings


def _class_errors(config: Config) -> Iterator[Error]:
    """Yield import paths that lead nowhere, and generators whose class gives or takes no masks where it is to."""
    for name, generator in config["generators"].items():
        try:
            attributes = class_attributes(generator["class"])
        except UserError as error:
            yield f"generators.{name}.class", str(error)
            continue
        alone = attributes.get("takes_masks") is False and attributes.get("makes_masks") is False
        if alone and any(arm.generator == name for arm in arms_of(config)):
            yield (
                "table2.arms",
                f"names '{name}', which draws images without masks, so that no segmentation can learn from them; it "
                "may be in table1.",
            )
        if attributes.get("makes_masks") is False:
            for other, entry in config["generators"].items():
                if entry.get("masks", {}).get("from") == name:
                    yield f"generators.{other}.masks.from", f"names '{name}', which draws no masks of its own."
        if "masks" in generator and attributes.get("takes_masks") is False:
            yield f"generators.{name}.masks", "is of a class that is given no masks to draw from; take it away."


def _is_class(path: str) -> bool:
    try:
        class_attributes(path)
    except UserError:
        return False
    return True


class _Generators:
    """The dataclasses of all generators' settings, and what is wrong with them, alone and together."""

    def __init__(self, entries: Config, channels: int) -> None:
        self.entries, self.errors = entries, list[Error]()
        self.of_images = {"image_channels": channels} if channels > 1 else {}
        self.models, self.samplings = self._read_all("model"), self._read_all("sampling")
        self.wrong = {name for name in entries if any(key.startswith(f"generators.{name}.") for key, _ in self.errors)}
        misfits = {name for name in self.models if self._add(f"generators.{name}", self._needs_errors(name))}
        self.wrong |= misfits
        for name, model in self.models.items():
            parts = self._parts(name)
            if hasattr(model, "part_errors") and parts is not None and name not in misfits:
                self._add(f"generators.{name}.model", model.part_errors(parts))
        for name, sampling in self.samplings.items():
            owner = entries[name].get("model_of", name)
            parts = self._parts(owner) if owner in self.models else None
            if hasattr(sampling, "model_errors") and parts is not None and owner not in misfits:
                self._add(f"generators.{name}.sampling", sampling.model_errors(self.models[owner], parts))
        for name in entries:
            self._add(f"generators.{name}", self._owner_errors(name))

    def _add(self, where: str, errors: Iterable[Error]) -> bool:
        """Keep errors, their keys below ``where``, and return whether there are any."""
        found = [(f"{where}.{key}" if key else where, sentence) for key, sentence in errors]
        self.errors += found
        return bool(found)

    def _read_all(self, section: str) -> dict[str, Any]:
        """Return the dataclasses of a section, also those with errors, by generator."""
        settings = {}
        for name, entry in self.entries.items():
            if section in entry and (path := settings_class(entry["class"], section)):
                try:
                    cls = find_class(path)
                except Exception as error:  # whatever a user's module raises
                    self.errors.append((f"generators.{name}.class", f"its module cannot be imported: {error!r}."))
                    continue
                given = entry[section] | (self.of_images if section == "model" else {})
                found = _read(cls, given, f"generators.{name}.{section}", self.errors)
                if found is not None:
                    settings[name] = found
        return settings

    def _needs_errors(self, name: str) -> Iterator[Error]:
        """Yield what is wrong with the roles and classes of a generator's parts, if its settings say what it needs."""
        wanted, needs = getattr(self.models[name], "needs", None), self.entries[name].get("needs", {})
        if wanted is not None and self.entries.keys() >= set(needs.values()):
            given = {role: self.entries[part]["class"] for role, part in needs.items()}
            yield from needs_errors(wanted, given, derives)

    def _parts(self, name: str, above: tuple[str, ...] = ()) -> dict[str, Any] | None:
        """Return the settings of a model's parts by role, of their parts as ``role.role``; None if one is wrong."""
        found: dict[str, Any] = {}
        for role, part in self.entries[name].get("needs", {}).items():
            known = part in self.models and part not in self.wrong and part not in above
            below = self._parts(part, (*above, name)) if known else None
            if below is None:
                return None
            found |= {role: self.models[part]} | {f"{role}.{key}": settings for key, settings in below.items()}
        return found

    def _owner_errors(self, name: str) -> Iterator[Error]:
        """Yield an error if a class of this project cannot read the weights of the model that it is to draw from."""
        cls, owner = self.entries[name]["class"], self.entries[name].get("model_of", name)
        if owner not in self.entries or not cls.startswith(("pig.", "baselines.")):
            return
        other = self.entries[owner]["class"]
        masks = [class_attributes(path).get("takes_masks") for path in (cls, other)]
        if not (derives(cls, other) or derives(other, cls)) or masks[0] != masks[1]:
            yield "model_of", f"names '{owner}' of class {other}, whose model {cls} cannot read."
