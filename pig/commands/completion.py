"""``eval "$(pig --print-completion bash)"``: commands, options and names of files by the Tab key of a shell."""

import argparse
from pathlib import Path
from typing import Any


class Completion(argparse.Action):
    """Prints what the shell that is named reads, by shtab; nothing else is done."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(choices=["bash", "zsh", "fish"], metavar="SHELL", **settings)

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> None:
        """Print it and exit."""
        import shtab  # 0.1 s, which no other command needs

        _, shell, _ = given
        for commands in parser._actions:
            if isinstance(commands, argparse._SubParsersAction):
                commands.help = "what to do"  # of what has no help shtab completes nothing
                for action in (action for sub in commands.choices.values() for action in sub._actions):
                    if action.type is Path:
                        action.complete = shtab.FILE  # type: ignore[attr-defined]
        print(shtab.complete(parser, shell))
        parser.exit()
