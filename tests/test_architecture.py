"""Imports point down, no drawer is called utils, and heavy libraries wait until they are needed."""

import ast
import json
import subprocess
import sys
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path

import pytest

import spikesight

PACKAGE = Path(spikesight.__file__).parent

LAYERS = (
    ("__main__",),
    ("cli",),
    ("commands", "demo"),
    ("experiment", "connectivity_run"),
    ("reports",),
    ("attribution", "gallery", "inspection", "prediction", "receptive_fields", "session_feed", "slurm", "tuning"),
    ("evaluation", "decoding_results"),
    ("decoders", "connectivity_validation", "tracked_run"),
    ("encoders", "connectivity", "records"),
    ("networks", "exploration", "figures", "quality", "kept_sessions", "connectivity_config", "connectivity_files"),
    ("data", "config", "cluster"),
    ("tracking", "tuning_config"),
    ("detrending", "metrics", "places", "schema", "search_space", "splits", "statistics", "tuning_results"),
    ("preprocessing", "errors"),
)
"""From top to bottom: a module imports from lower layers, never from above or from its own layer's other modules."""

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc"}
HEAVY = ("torch", "sklearn", "h5py", "matplotlib", "ray", "optuna", "wandb")

DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}


def module_name(file, package=PACKAGE):
    parts = [package.name, *file.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(package=PACKAGE):
    return {module_name(file, package): file for file in sorted(package.rglob("*.py"))}


def imports_of(name, file, known):
    """Modules of the package that a file imports anywhere, functions and type checks included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                stem = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
                base = ".".join([*stem[: len(stem) - node.level + 1], *([base] if base else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in known else base)
    return {module for module in found if module.split(".")[0] == name.split(".")[0]} - {name}


def layer_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def upward_imports(known):
    wrong = []
    for name, file in known.items():
        here = layer_of(name)
        if here is None:
            continue
        for imported in imports_of(name, file, known):
            there = layer_of(imported)
            if there not in (None, here) and DEPTH.get(there, 0) <= DEPTH.get(here, 0):
                wrong.append(f"{name} -> {imported}")
    return sorted(wrong)


def cycles(graph):
    """Modules that reach themselves."""

    def reach(start):
        seen, todo = set(), list(graph[start])
        while todo:
            module = todo.pop()
            if module not in seen:
                seen.add(module)
                todo += graph.get(module, ())
        return seen

    return sorted(module for module in graph if module in reach(module))


def test_every_module_has_a_place_in_the_order_of_imports():
    placed = {layer_of(name) for name in modules()} - {None}
    assert placed <= set(DEPTH), f"give these a layer: {sorted(placed - set(DEPTH))}"


def test_imports_point_down_only():
    assert upward_imports(modules()) == []


def test_no_modules_import_each_other_in_a_circle():
    known = modules()
    graph = {name: imports_of(name, file, known) - {"spikesight"} for name, file in known.items()}
    assert cycles(graph) == []


def test_no_module_is_a_drawer():
    drawers = {part for name in modules() for part in name.split(".")} & FORBIDDEN_NAMES
    assert drawers == set()


def test_no_module_and_no_function_outgrows_its_room():
    too_long = [name for name, file in modules().items() if len(file.read_text(encoding="utf-8").splitlines()) > 400]
    for name, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and _code_lines(node) > 60:
                too_long.append(f"{name}.{node.name}")
    assert too_long == []


def _code_lines(function):
    documented = ast.get_docstring(function) is not None
    first = function.body[1] if documented and len(function.body) > 1 else function.body[0]
    return function.end_lineno - first.lineno + 1


def test_library_code_asserts_nothing_and_swallows_nothing():
    found = []
    for name, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            silent = isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass) for line in node.body)
            bare = isinstance(node, ast.ExceptHandler) and node.type is None
            if isinstance(node, ast.Assert) or silent or bare:
                found.append(f"{name}:{node.lineno}")
    assert found == []


def loaded_after(code):
    """Heavy libraries that a fresh interpreter has loaded after ``code``."""
    script = f"{code}\nimport sys, json\nprint()\nprint(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_import_spikesight_loads_no_heavy_library():
    assert loaded_after("import spikesight") == []


def cli_script():
    [script] = [entry for entry in entry_points(group="console_scripts") if entry.name == "spikesight"]
    if not (PACKAGE / "cli.py").exists():
        pytest.skip("there is no command line yet")
    return script


def test_help_loads_no_heavy_library():
    module, function = cli_script().value.split(":")
    code = (
        f"import sys\nsys.argv = ['spikesight', '--help']\nfrom {module} import {function}\n"
        f"try:\n    {function}()\nexcept SystemExit as stop:\n    assert not stop.code\n"
    )
    assert loaded_after(code) == []


def test_help_of_every_command_loads_no_heavy_library():
    cli_script()
    code = (
        "from typer.main import get_command\nfrom typer.testing import CliRunner\nimport spikesight.cli as cli\n"
        "group = get_command(cli.app)\n"
        "for name in group.commands:\n"
        "    done = CliRunner().invoke(cli.app, [name, '--help'])\n"
        "    assert done.exit_code == 0, (name, done.output)\n"
    )
    assert loaded_after(code) == []


def test_the_check_sees_a_heavy_library_when_it_is_loaded():
    assert loaded_after("import sklearn") == ["sklearn"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "from spikesight.evaluation.benchmark import evaluate",
            ["spikesight.metrics -> spikesight.evaluation.benchmark"],
        ),
        ("from spikesight import splits", ["spikesight.metrics -> spikesight.splits"]),
        ("def late():\n    import spikesight.cli", ["spikesight.metrics -> spikesight.cli"]),
        ("from .decoders import registry", ["spikesight.metrics -> spikesight.decoders.registry"]),
        ("from spikesight.errors import DataError", []),
        ("from spikesight import __version__", []),
    ],
)
def test_the_check_sees_an_upward_import(tmp_path, source, expected):
    package = tmp_path / "spikesight"
    (package / "decoders").mkdir(parents=True)
    for name in ("__init__", "benchmark", "splits", "cli", "errors", "decoders/__init__", "decoders/registry"):
        (package / f"{name}.py").write_text("")
    (package / "metrics.py").write_text(source)
    assert upward_imports(modules(package)) == expected


def test_the_check_sees_a_circle():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]


def test_the_order_says_what_the_design_says():
    order = ["cli", "experiment", "evaluation", "decoders", "networks", "data", "schema", "errors"]
    assert all(DEPTH[upper] < DEPTH[lower] for upper, lower in pairwise(order))
