"""The one exception that means: the person running this can fix it. And how a long list of faults is printed."""

import re
from collections import defaultdict
from collections.abc import Sequence

MANY, SHOWN = 5, 3  # of more than MANY faults of a kind, SHOWN are printed
# What tells faults of a kind apart: names in quotes, paths and file names, numbers.
OWN = re.compile(r"'[^']*'|\"[^\"]*\"|\S*[/\\]\S*|\w\S*\.\w+|\S*\d\S*")


class UserError(ValueError):
    """A mistake in a file, a setting or a command.

    Its message is a whole sentence that names the file, row or key and says how to fix it; the command line
    prints it without a traceback and exits with status 2.

    Args:
        message: the sentence; with faults, their heading.
        faults: where there are several, each as a sentence. ``str`` of the error has them below the heading, indented.
    """

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        self.heading, self.faults = message, [*faults]
        super().__init__("\n  ".join([message, *faults]))


def in_brief(error: UserError) -> str:
    """Return the message of an error, where of many faults of one kind three are printed, and what the others are of.

    Faults are of one kind if they are the same but for names in quotes, paths, file names and numbers. Few faults of
    a kind stay where they are; many stand together.
    """
    kinds = defaultdict[str, list[str]](list)
    for fault in error.faults:
        kinds[OWN.sub("*", fault)].append(fault)
    shown = [error.heading]
    for fault in error.faults:
        alike = kinds[OWN.sub("*", fault)]
        if 0 < len(alike) <= MANY:
            shown.append(fault)
        elif alike:
            others = alike[SHOWN:]
            shown += [*alike[:SHOWN], f"and {len(others)} more like these: {_what_they_are_of(others)}"]
            alike.clear()  # all of them are told
    return "\n  ".join(shown)


def _what_they_are_of(faults: Sequence[str]) -> str:
    """Return the rows of faults, those that follow each other as "7 to 9"; without rows, what each names first."""
    found = [re.match(r"row (\d+):", fault) for fault in faults]
    if None in found:
        names = [OWN.search(fault) for fault in faults]
        return ", ".join(name[0].rstrip(":") if name else fault for name, fault in zip(names, faults, strict=True))
    runs: list[list[int]] = []
    for number in sorted(int(match[1]) for match in found if match):
        if runs and number <= runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return "rows " + ", ".join(f"{first} to {last}" if last > first else str(first) for first, last in runs)
