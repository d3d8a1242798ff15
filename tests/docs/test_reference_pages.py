"""Pages that are made of the code name all of it; the page of files names all columns."""

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import spikesight
from spikesight import figures
from spikesight.config import BenchmarkConfig, UnitsConfig
from spikesight.connectivity import registry as estimators
from spikesight.decoders import registry
from spikesight.tuning_config import TuningConfig

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def made() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_pages", DOCS / "_extensions" / "reference_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_the_command_line_has_every_command_and_option(made: ModuleType):
    from typer.main import get_command

    from spikesight.cli import app

    page = made.cli_page()
    for path, command in made.commands(get_command(app)):
        (section,) = re.findall(rf"^## {path}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        options = [name for one in command.params for name in one.opts if name.startswith("--") and name != "--help"]
        assert [name for name in options if name not in section] == [], path


def test_the_page_of_options_has_every_key_with_its_meaning(made: ModuleType):
    page = made.config_page()
    keys = [*BenchmarkConfig.model_fields, *(f"units.{name}" for name in UnitsConfig.model_fields)]
    keys += [f"tuning.{name}" for name in TuningConfig.model_fields]
    assert [key for key in keys if f"`{key}`" not in page] == []
    meanings = made.attributes_of(inspect.getdoc(BenchmarkConfig) or "")
    assert sorted(set(BenchmarkConfig.model_fields) - set(meanings)) == []


def test_attributes_are_read_from_a_docstring(made: ModuleType):
    text = (
        "Title.\n\nAttributes\n----------\none, two\n    What ``both`` are,\n    in two lines.\nthree\n    A * star.\n"
    )
    both = "What `both` are, in two lines."
    assert made.attributes_of(text) == {"one": both, "two": both, "three": r"A \* star."}


def test_lists_of_names_are_whole(made: ModuleType):
    pages = made.api_page(), made.decoders_page(), made.estimators_page(), made.figures_page()
    api, decoders, methods, drawn = ([line.strip() for line in page.splitlines()] for page in pages)
    assert [name for name in spikesight.__all__ if f"spikesight.{name}" not in api] == []
    assert [name for name in figures.__all__ if f"spikesight.figures.{name}" not in drawn] == []
    assert [name for name in registry.names() if registry.spec(name).path.replace(":", ".") not in decoders] == []
    assert [name for name in estimators.names() if estimators.spec(name).path.replace(":", ".") not in methods] == []


def columns_of(heading: str) -> list[str]:
    page = (DOCS / "run_directory.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^### `{heading}`\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_the_page_of_files_names_the_columns_of_a_benchmark():
    from spikesight.evaluation.folds import PREDICTION_COLUMNS, RESULT_COLUMNS

    assert sorted(columns_of("results.parquet")) == sorted(RESULT_COLUMNS)
    assert sorted(columns_of("predictions.parquet")) == sorted(PREDICTION_COLUMNS)
