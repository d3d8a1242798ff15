"""docs/from_the_original_project.md names only what exists."""

import importlib
import re
from pathlib import Path

import pytest

from spikesight.decoders import registry

PAGE = (Path(__file__).parents[2] / "docs" / "from_the_original_project.md").read_text(encoding="utf-8")
OLD_NAMES = (
    "pull_and_process_data", "load_processed_data", "data_splitter", "MVLR", "PC-MVLR", "SVC", "NN", "MLNN", "GCN",
    "GAT", "LSTM", "Transformer", "Static_STGAT", "ST-TR", "ST-GNN", "auto_hyperparameter_tuner", "model_predictions",
    "visualize_data", "neural_image_testing", "test_across",
)  # fmt: skip


def rows(heading: str) -> list[list[str]]:
    """Read the cells of a section's table, without its head."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (own,) = (part for part in section if part.startswith(heading))
    lines = [line for line in own.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_name_of_the_original_project_is_on_the_page():
    first = {name.strip("`") for heading in ("Data", "Decoders", "Work") for name, *_ in rows(heading)}
    assert [name for name in OLD_NAMES if name not in first] == []


@pytest.mark.parametrize("cell", [row[-1] for row in rows("Decoders")])
def test_every_decoder_that_is_named_is_registered(cell: str):
    named = re.findall(r"`([a-z][a-z-]*)`", cell)
    named = [name for name in named if name != "graph"]
    assert set(named) <= set(registry.names())
    for name, key, value in re.findall(r"params\.([\w-]+)\.(\w+)=([\w-]+)", cell):
        registry.make(name, **{key: value})


def test_every_name_in_python_can_be_imported():
    paths = re.findall(r"\{py:(?:func|class|mod)\}`([\w.]+)`", PAGE)
    assert len(paths) > 10
    for path in paths:
        owner, _, name = path.rpartition(".")
        try:
            importlib.import_module(path)
        except ModuleNotFoundError:
            assert getattr(importlib.import_module(owner), name, None) is not None, path


def test_decoders_that_were_not_there_are_listed():
    there = {name for row in rows("Decoders") for name in re.findall(r"`([a-z][a-z-]*)`", row[-1])}
    (also,) = re.findall(r"Here as well, and not there: (.+?),? and the reference rows", PAGE)
    also = set(re.findall(r"`([a-z-]+)`", also))
    assert there | also >= set(registry.names()) - {"chance"}
