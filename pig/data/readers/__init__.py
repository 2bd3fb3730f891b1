"""From data as they lie on a disk to a manifest: one file per layout."""

from pig.data.readers.importing import SOURCES, import_data, read_settings

__all__ = ["SOURCES", "import_data", "read_settings"]
