"""Names with wildcards, by which images and masks that lie side by side find each other."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from pig.data.formats import ending_of
from pig.data.readers.volume import composed

# How data sets that are known name the mask of an image; looked for in this order.
MASK_ENDS = ("_mask", "_segmentation", "_seg", "_label", "_gt", "_lesion")
MASK_BEGINNINGS = ("mask_", "seg_", "label_")


class Pattern:
    """A path with wildcards: * stands for any text within a name, ** for any folders too.

    What the wildcards stand for is the key of a file: an image and its masks have the same. Pattern and paths meet
    :func:`composed`. An ending may be in upper or lower case.
    """

    def __init__(self, text: str) -> None:
        text = composed(text)
        ending = ending_of(PurePosixPath(text)) or ""
        pieces = re.split(r"(\*\*|\*)", text[: len(text) - len(ending)])
        whole = "".join({"**": "(.*?)", "*": "([^/]*?)"}.get(piece, re.escape(piece)) for piece in pieces)
        self.text, self._regex = text, re.compile(f"{whole}(?i:{re.escape(ending)})")
        self.wildcards = self._regex.groups

    def key(self, path: str, wildcards: int | None = None) -> tuple[str, ...] | None:
        """Return what the wildcards stand for, or the first so many of them; None if the path is another one."""
        found = self._regex.fullmatch(composed(path))
        return found.groups()[:wildcards] if found else None


def proposal(paths: Iterable[str]) -> str | None:
    """Return the settings that seem to fit files in which masks lie beside their images, or None.

    Args:
        paths: of all files below the root.
    """
    files = [PurePosixPath(path) for path in paths if ending_of(PurePosixPath(path))]
    stems = {(path.parent, path.name[: -len(str(ending_of(path)))]): path for path in files}
    for (folder, stem), mask in stems.items():
        depth, ending = "*/" * len(folder.parts), str(ending_of(mask))
        for end in MASK_ENDS:
            image, _, number = stem.partition(end)
            if end in stem and (folder, image) in stems:
                other = str(ending_of(stems[folder, image]))
                more = (
                    "*"
                    if any(f"{image}{end}" != name and name.startswith(f"{image}{end}") for _, name in stems)
                    else ""
                )
                return f'images: "{depth}*{other}", masks: "{depth}*{end}{more}{ending}"'
        for beginning in MASK_BEGINNINGS:
            if not stem.startswith(beginning):
                continue
            number = stem.removeprefix(beginning)
            for (where, name), path in stems.items():
                if where == folder and name != stem and name.endswith(number) and number:
                    start = name.removesuffix(number)
                    return f'images: "{depth}{start}*{ending_of(path)}", masks: "{depth}{beginning}*{ending}"'
    return None
