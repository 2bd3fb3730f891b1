"""From data as they lie on a disk to a manifest: one file per layout; and to new images, of which no mask is known."""

from pig.data.readers.importing import SOURCES, import_data, read_settings
from pig.data.readers.new_images import NewFile, NewSlice, find_images, slices_of

__all__ = ["SOURCES", "NewFile", "NewSlice", "find_images", "import_data", "read_settings", "slices_of"]
