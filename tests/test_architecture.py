"""Which way imports go, and that rule, command, step and function have one name."""

import ast
import inspect
import re
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest
from study_runs import ROOT

from pig.commands import parser
from pig.system.source import home_of

# From the top: each imports what stands below it.
ROOMS = [
    "pig.__main__", "pig.cli", "pig.commands", "pig.steps", "pig.study", "pig.report", "pig.evaluation", "baselines",
    "pig.methods", "pig.training", "pig.data", "pig.diffusion", "pig.system",
]  # fmt: skip


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file): file for package in ("pig", "baselines") for file in (ROOT / package).rglob("*.py")}


def imports(name: str) -> set[str]:
    """The project's modules that a module imports, wherever in it: also for types alone."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            home = home_of(node, name, MODULES[name])
            found |= {f"{home}.{alias.name}" if f"{home}.{alias.name}" in MODULES else home for alias in node.names}
    return {module for module in found if module in MODULES and module != "pig"}


def room(name: str) -> int:
    return next(i for i, of in enumerate(ROOMS) if name == of or name.startswith(f"{of}."))


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"pig"}))
def test_imports_go_down(name: str) -> None:
    assert [other for other in imports(name) if room(other) < room(name)] == []


def test_no_two_modules_import_each_other_in_a_circle() -> None:
    done: set[str] = set()

    def visit(path: tuple[str, ...]) -> None:
        for other in sorted(imports(path[-1]) - done):
            # A package names what its modules define, so that it imports them and they do not import it.
            assert other not in path, " -> ".join([*path[path.index(other) :], other])
            visit((*path, other))
        done.add(path[-1])

    for name in sorted(MODULES):
        visit((name,))


def test_pig_imports_no_baseline() -> None:
    assert [name for name in MODULES if name.startswith("pig") for other in imports(name) if "baselines" in other] == []


def test_settings_import_no_torch() -> None:
    files = [name for name in MODULES if name.endswith("settings")]
    assert len(files) > 8
    seen, waiting = set(files), list(files)
    while waiting:
        new = imports(waiting.pop()) - seen
        seen |= new
        waiting += new
    heavy = {"torch", "numpy", "pandas", "PIL", "monai"}
    for name in seen:
        lines = re.findall(r"^(?:from|import) (\w+)", MODULES[name].read_text(), flags=re.M)
        assert not heavy & set(lines), name


STEPS = {name.rpartition(".")[2] for name in MODULES if name.startswith("pig.steps.")}
SPELLED = {"import": "import_data"}  # a keyword of Python
NOT_OF_THE_STEP = {"threads", "events", "processes", "help"}  # of the command itself
(COMMANDS,) = (action.choices for action in parser()._actions if action.dest == "command")


def test_each_rule_has_the_name_of_its_command_and_step() -> None:
    rules = {}
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        for text in re.split(r"^ *rule ", file.read_text(), flags=re.M)[1:]:
            if command := re.search(r'"\(?pig (\w+)', text):
                rules[text.partition(":")[0]] = SPELLED.get(command[1], command[1])
    assert len(rules) == 20
    assert all(rule == step for rule, step in rules.items()), rules
    assert set(rules) < STEPS == {SPELLED.get(name, name) for name in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_a_command_are_the_arguments_of_its_step(command: str) -> None:
    name = SPELLED.get(command, command)
    step = getattr(import_module(f"pig.steps.{name}"), name)
    arguments = inspect.signature(step).parameters
    assert all(argument.kind is argument.KEYWORD_ONLY for argument in arguments.values())
    options = {action.dest for action in COMMANDS[command]._actions}
    assert options - set(arguments) <= NOT_OF_THE_STEP
    assert set(arguments) <= options


def test_no_function_takes_many_arguments_by_position() -> None:
    many = []
    for name, file in MODULES.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
                many += [f"{name}.{node.name}"] if len(arguments) > 7 else []
    assert many == []


def test_the_page_names_every_room() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    listed = re.findall(r"^\| `((?:pig/|baselines)[^`]*)` \|", page, flags=re.M)
    assert [place.removesuffix("/").removesuffix(".py").replace("/", ".") for place in listed] == ROOMS
    for before, after in pairwise(ROOMS):
        assert page.index(f"| `{before.replace('.', '/')}") < page.index(f"| `{after.replace('.', '/')}")
