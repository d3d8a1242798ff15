"""The flow chart of a decoder says what the decoder's own parameters say."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

from spikesight import figures
from spikesight.decoders import registry
from spikesight.decoders.architecture import architecture_of
from spikesight.decoders.spatiotemporal import SpatiotemporalDecoder
from spikesight.decoders.variants import STAGES, decoder_variants
from spikesight.errors import ConfigError, OutputError, UnknownNameError
from spikesight.figures.flow_chart import FlowChart
from spikesight.gallery.decoder_chart import draw_decoder_chart
from spikesight.networks.graphs import CorrelationGraph, GivenGraph, IdentityGraph, LearnedGraph

NETWORKS = ["mlp", "mlp-deep", "lstm", "gru", "transformer", "cnn"]
GRAPH_DECODERS = ["gcn", "gat", "st-gnn", "st-gcn", "st-gat", "st-transformer"]
WORDS = {"identity": "identity", "given": "given", "correlation": "correlation", "learned": "learned"}


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def _text(chart: FlowChart) -> dict[str, str]:
    return {box.key: "\n".join([box.title, *box.lines]) for box in chart.boxes}


def _graph(kind: str, scope: str) -> Any:
    if kind == "learned":
        return LearnedGraph(scope=scope, rank=5, threshold=0.3, refine_rounds=2)
    if kind == "given":
        return GivenGraph(np.zeros((3, 4, 4)) if scope == "per-bin" else np.zeros((4, 4)))
    if kind == "identity":
        return IdentityGraph()
    return CorrelationGraph(kind="partial" if "partial" in kind else "pearson", quantile=0.75)


@pytest.mark.parametrize(
    ("kind", "scope"), decoder_variants().combinations[["graph", "scope"]].drop_duplicates().values
)
def test_every_legal_combination_is_drawn_with_its_parameters(kind: str, scope: str) -> None:
    rows = decoder_variants().combinations
    for row in rows[(rows["graph"] == kind) & (rows["scope"] == scope)].itertuples():
        decoder = SpatiotemporalDecoder(
            graph=_graph(kind, scope), spatial=row.spatial, temporal=row.temporal, readout=row.readout, hidden_size=96,
            unit_features=3, n_heads=6, n_layers=2, dropout=0.25, n_hops=4, n_sources=7, input_noise=0.5,
            unit_dropout=0.15, noise_factors=33,
        )  # fmt: skip
        says = _text(architecture_of(decoder))
        assert f"spatial block: {row.spatial}" in says["spatial"]
        assert f"temporal block: {row.temporal}" in says["temporal"]
        assert f"read-out: {row.readout}" in says["readout"]
        assert "dropout = 0.25" in says["readout"]
        assert "hidden_size = 96" in says["temporal"]
        assert ("n_heads = 6, n_layers = 2" in says["temporal"]) == (row.temporal == "transformer")
        assert "unit_features = 3" in says["embedding"]
        assert ("n_hops = 4" in says["spatial"]) == (row.spatial == "sgc")
        assert ("n_sources = 7" in says["spatial"]) == (row.spatial == "gatv2")
        assert all(word in says["input"] for word in ("noise_factors = 33", "input_noise = 0.5", "unit_dropout = 0.15"))
        assert WORDS[kind.split()[-1]] in says["graph"]
        assert "not connectivity" in says["graph"]


def test_the_box_of_a_graph_says_all_of_its_parameters() -> None:
    learned = LearnedGraph(scope="per-class", rank=5, threshold=0.3, refine_rounds=2, init="correlation", quantile=0.5)
    says = _text(architecture_of(registry.make("st-gat", graph=learned)))["graph"].splitlines()
    wanted = ["scope = per-class", "rank = 5", "threshold = 0.3", "refine_rounds = 2", "init = correlation"]
    assert {*wanted, "quantile = 0.5", "every class is scored with its own"} <= set(says)
    says = _text(architecture_of(registry.make("st-gat", graph="partial-correlation")))["graph"].splitlines()
    assert {"kind = partial", "quantile = 0.9"} <= set(says)
    says = _text(architecture_of(registry.make("st-gat", graph=np.zeros((5, 4, 4)))))["graph"].splitlines()
    assert "matrix = 5 x 4 x 4" in says


def test_the_rank_that_none_stands_for_is_said() -> None:
    assert "rank = full (None)" in _text(architecture_of(registry.make("gcn", graph="learned")))["graph"]
    assert "rank = 8 (None)" in _text(architecture_of(registry.make("gcn", graph="learned-per-class")))["graph"]


def test_refinement_and_activity_are_arrows_where_there_are_any() -> None:
    def ways(**params: Any) -> set[tuple[str, str]]:
        chart = architecture_of(registry.make("st-gcn", graph=LearnedGraph(**params)))
        return {(arrow.source, arrow.target) for arrow in chart.arrows}

    assert ("spatial", "graph") in ways(refine_rounds=1)
    assert ("spatial", "graph") not in ways()
    assert ("input", "graph") in ways(scope="per-trial")
    assert ("input", "graph") not in ways()


@pytest.mark.parametrize("name", [*NETWORKS, *GRAPH_DECODERS])
def test_every_registered_network_is_drawn_and_all_that_its_boxes_say_is_written(name: str) -> None:
    chart = architecture_of(registry.make(name), name)
    ax = figures.plot_architecture(chart)
    drawn = " ".join(text.get_text() for text in ax.texts)
    said = " ".join(" ".join([box.title, *box.lines]) for box in chart.boxes)
    assert ax.get_title(loc="left") == name
    assert set(said.split()) <= set(drawn.split())
    assert len(ax.patches) >= len(chart.boxes)


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("mlp-deep", {"hidden_size": 48}, ["n_layers = 2, hidden_size = 48"]),
        ("gru", {"hidden_size": 48}, ["temporal block: gru", "hidden_size = 48"]),
        ("transformer", {"n_heads": 2, "n_layers": 3}, ["n_heads = 2, n_layers = 3", "mean over bins"]),
        ("cnn", {"n_filters": 12, "kernel_size": 5}, ["n_filters = 12, kernel_size = 5"]),
        ("lstm", {"noise_factors": None, "dropout": 0.4}, ["dropout = 0.4"]),
    ],
)
def test_networks_without_a_graph_say_their_parameters(name: str, params: dict[str, Any], words: list[str]) -> None:
    said = "\n".join(_text(architecture_of(registry.make(name, **params))).values())
    assert all(word in said for word in words)
    assert ("noise_factors" in said) == (params.get("noise_factors", 60) is not None)


def test_a_fitted_decoder_says_its_sizes() -> None:
    rng = np.random.default_rng(0)
    counts, labels = rng.poisson(1.0, (24, 3, 6)), np.arange(24) % 4
    decoder = registry.make("st-gat", max_epochs=1, hidden_size=8, noise_factors=2).fit(counts, labels)
    says = _text(architecture_of(decoder))
    assert says["counts"].splitlines()[1] == "3 bins x 6 units"
    assert says["classes"].splitlines()[0] == "4 classes"
    says = _text(architecture_of(registry.make("st-gat"), shape=(5, 24, 9)))
    assert (says["counts"].splitlines()[1], says["classes"].splitlines()[0]) == ("5 bins x 24 units", "9 classes")


@pytest.mark.parametrize("name", ["fa-lda", "chance", "ensemble", "svc-rbf"])
def test_what_is_no_network_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"expected a neural decoder .*st-gat.*, got "):
        architecture_of(registry.make(name))


def test_boxes_do_not_overlap_and_hold_their_text() -> None:
    params = {"graph": LearnedGraph(scope="per-class", init="correlation", refine_rounds=3), "spatial": "gatv2"}
    ax = figures.plot_architecture(architecture_of(registry.make("st-transformer", **params)))
    ax.figure.canvas.draw()
    boxes = [patch.get_window_extent() for patch in ax.patches if type(patch).__name__ == "FancyBboxPatch"]
    for number, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[number + 1 :])
    inside = [text.get_window_extent() for text in ax.texts if text.get_text() and text.get_fontsize() > 8]
    assert len(inside) > 15
    for text in inside:
        assert any(box.x0 < text.x0 and text.x1 < box.x1 and box.y0 < text.y0 and text.y1 < box.y1 for box in boxes)


def test_the_chart_of_variants_draws_every_part_and_a_path_for_every_name() -> None:
    combinations, named = decoder_variants()
    ax = figures.plot_decoder_variants(combinations, named)
    texts = {text.get_text() for text in ax.texts}
    assert {"identity", "partial correlation", "per-bin", "sage", "gatv2", "gru", *GRAPH_DECODERS} <= texts
    paths = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert set(paths) == set(GRAPH_DECODERS)
    assert len({line.get_color() for line in paths.values()}) == len(GRAPH_DECODERS)
    assert len({tuple(line.get_ydata()) for line in paths.values()}) == len(GRAPH_DECODERS)
    assert f"{len(combinations)} combinations" in ax.get_title(loc="left")


def test_variants_are_all_that_the_blocks_allow() -> None:
    combinations, named = decoder_variants()
    assert len(combinations) == len(combinations.drop_duplicates()) == 10 * 5 * 4 * 2
    assert list(named["decoder"]) == GRAPH_DECODERS
    merged = named.merge(combinations, on=list(STAGES))
    assert len(merged) == len(named)  # every name is one of the combinations


def test_a_chart_is_written_as_svg_whose_text_is_text(tmp_path: Path) -> None:
    file = draw_decoder_chart("st-gat", tmp_path / "st-gat.svg")
    texts = ["".join(node.itertext()) for node in ElementTree.parse(file).iter() if node.tag.endswith("}text")]
    assert any("spatial block: gatv2" in text for text in texts)
    assert list(tmp_path.iterdir()) == [file]
    again = draw_decoder_chart("st-gat", tmp_path / "again.svg")
    assert again.read_bytes() == file.read_bytes()
    assert not re.search(r"<dc:date>", file.read_text())


def test_a_chart_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nodir"):
        draw_decoder_chart("lstm", tmp_path / "nodir" / "lstm.svg")
    with pytest.raises(UnknownNameError, match="Did you mean 'svg'"):
        draw_decoder_chart("lstm", tmp_path / "lstm.svgg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("params", "nearest"),
    [({"spatial": "gcnn"}, "gcn"), ({"temporal": "lstn"}, "lstm"), ({"readout": "bins"}, "bin")],
)
def test_an_unknown_block_is_refused_with_the_nearest(params: dict[str, str], nearest: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{nearest}'"):
        architecture_of(SpatiotemporalDecoder(**params))
