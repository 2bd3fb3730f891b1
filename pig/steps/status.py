"""Show which jobs of a study are done, running, failed and waiting, and the time left."""

from pathlib import Path

from pig.study.status import as_json, as_text, read_status


def status(*, directory: Path, json: bool) -> None:
    """Print the state of the study in ``directory``, as JSON or as text."""
    found = read_status(directory)
    print(as_json(found) if json else as_text(found))
