"""The one exception that means: the person running this can fix it. And how a long list of faults is printed."""

import re
from collections import defaultdict
from collections.abc import Sequence

MANY, SHOWN = 5, 3  # of more than MANY lines of a kind, SHOWN are printed
# What tells lines of a kind apart: names in quotes, paths and file names, numbers.
OWN = re.compile(r"'[^']*'|\"[^\"]*\"|\S*[/\\]\S*|\w\S*\.\w+|\S*\d\S*")


class UserError(ValueError):
    """A mistake in a file, a setting or a command.

    Its message is a whole sentence that names the file, row or key and says how to fix it; the command line
    prints it without a traceback and exits with status 2. Where it lists faults, each is a further line, indented.
    """


def in_brief(message: str) -> str:
    """Return a message whose list has many lines of one kind with three of each kind, and what the others are of.

    Args:
        message: of a :class:`UserError`. Lines of its list are of one kind if they are the same but for names in
            quotes, paths, file names and numbers.
    """
    heading, *lines = message.split("\n")
    kinds = defaultdict[str, list[str]](list)
    for line in lines:
        kinds[OWN.sub("*", line)].append(line)
    shown = [heading]
    for alike in kinds.values():
        if len(alike) <= MANY:
            shown += alike
            continue
        others = alike[SHOWN:]
        shown += [*alike[:SHOWN], f"  and {len(others)} more like these: {_what_they_are_of(others)}"]
    return "\n".join(shown)


def _what_they_are_of(lines: Sequence[str]) -> str:
    """Return the rows of lines, those that follow each other as "7 to 9"; without rows, what each line names first."""
    found = [re.match(r" *row (\d+):", line) for line in lines]
    if None in found:
        names = [OWN.search(line) for line in lines]
        return ", ".join(name[0].rstrip(":") if name else line.strip() for name, line in zip(names, lines, strict=True))
    runs: list[list[int]] = []
    for number in sorted(int(match[1]) for match in found if match):
        if runs and number <= runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return "rows " + ", ".join(f"{first} to {last}" if last > first else str(first) for first, last in runs)
