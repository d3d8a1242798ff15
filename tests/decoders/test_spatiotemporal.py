"""Graph decoders: every legal combination of parts, what they used, and the bugs that others had."""

from itertools import product

import numpy as np
import pytest
import torch
import xarray as xr
from graph_trials import N_BINS, N_CLASSES, N_UNITS, given, tuned

from guessing import chance_interval
from spikesight.decoders import registry
from spikesight.decoders import spatiotemporal as module
from spikesight.decoders.input_prior import InputPrior
from spikesight.decoders.spatiotemporal import GAT, STGAT, STGCN, STGNN, SpatiotemporalDecoder, STTransformer
from spikesight.decoders.storage import load_decoder, save_decoder
from spikesight.errors import ConfigError, UnitIdsError, UnknownNameError
from spikesight.networks import spatiotemporal as networks
from spikesight.networks.adjacency import DenseEdges
from spikesight.networks.graph_module import GraphModule
from spikesight.networks.graphs import CorrelationGraph, GivenGraph, LearnedGraph
from spikesight.networks.spatial import SPATIAL
from spikesight.networks.spatiotemporal import READOUTS
from spikesight.networks.temporal import TEMPORAL
from spikesight.tracking.graph_records import write_graph

QUICK = {"max_epochs": 6, "learning_rate": 0.02, "batch_size": 32, "hidden_size": 16, "n_heads": 2, "unit_features": 2}
QUICK |= {"unit_dropout": 0.1, "dropout": 0.0}

GRAPHS = {
    "given": given(),
    "given per bin": np.stack([given(seed) for seed in range(N_BINS)]),
    "correlation": CorrelationGraph(quantile=0.5),
    "partial correlation": CorrelationGraph(kind="partial", quantile=0.5),
    "learned": LearnedGraph(),
    "learned low rank": LearnedGraph(rank=2, init="correlation"),
    "learned refined": LearnedGraph(rank=2, refine_rounds=2),
    "learned per class": LearnedGraph("per-class", rank=2),
    "learned per class refined": LearnedGraph("per-class", rank=2, refine_rounds=1),
    "learned per trial": LearnedGraph("per-trial"),
    "learned per trial low rank refined": LearnedGraph("per-trial", rank=2, refine_rounds=1),
    "learned per bin": LearnedGraph("per-bin", init="correlation", quantile=0.5),
    "learned per bin low rank refined": LearnedGraph("per-bin", rank=2, refine_rounds=1),
    "learned per class per bin": LearnedGraph("per-class-per-bin", rank=2),
}
EVERY = list(product(GRAPHS, SPATIAL, TEMPORAL, READOUTS))
PAIRWISE = [
    (graph, spatial, TEMPORAL[(i + j) % len(TEMPORAL)], READOUTS[(j + i // len(TEMPORAL)) % 2])
    for i, graph in enumerate(GRAPHS)
    for j, spatial in enumerate(SPATIAL)
]
"""Every two options of two parts meet in one of these."""

X, Y = tuned(240)
TRAIN, TEST = slice(0, 150), slice(150, 240)


def quick(kind=SpatiotemporalDecoder, **options):
    return kind(**(QUICK | options))


def network_of(seed=0, **options):
    """An untrained network for trials of small size, in double precision; its graph's part as loud as the units."""
    rows = np.random.default_rng(seed).normal(size=(40, N_BINS, N_UNITS)).astype(np.float32)
    decoder = quick(**options)
    decoder._keep_prior(InputPrior.none(N_BINS * N_UNITS, N_CLASSES))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = decoder._build(N_BINS, N_UNITS, N_CLASSES, rows).double().eval()
    with torch.no_grad():
        network.outwards.mul_(10)
    return network


def some_trials(n_trials=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_trials, N_BINS, N_UNITS, generator=generator, dtype=torch.float64)


class WithoutEdges(GraphModule):
    """A graph whose edges have all been cut."""

    def __init__(self, graph):
        super().__init__(graph.per, graph.n_units, graph.n_bins, graph.n_classes)
        self.graph, self.refine_rounds = graph, graph.refine_rounds

    def typical(self):
        return self.graph.typical()

    def forward(self, x):
        edges = self.graph(x)
        nothing = x.new_zeros(edges.n_graphs, edges.n_units)
        return edges.scaled(nothing, nothing)

    def refine(self, edges, h):
        return self.graph.refine(edges, h)


# ---------------------------------------------------------------- every legal combination


def check_that_it_decodes_with_its_edges(graph, spatial, temporal, readout):
    decoder = quick(graph=GRAPHS[graph], spatial=spatial, temporal=temporal, readout=readout)
    decoder.fit(X[TRAIN], Y[TRAIN])
    assert decoder.score(X[TEST], Y[TEST]) > chance_interval(90, 1 / N_CLASSES, 0.999).high
    before = decoder.predict_proba(X[TEST])
    decoder.network_.graph = WithoutEdges(decoder.network_.graph)
    assert (np.abs(decoder.predict_proba(X[TEST]) - before).max(axis=1) > 1e-9).all()


def test_the_pairs_cover_every_two_options():
    for first, second in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        assert len({(one[first], one[second]) for one in PAIRWISE}) == len({(e[first], e[second]) for e in EVERY})


@pytest.mark.parametrize(("graph", "spatial", "temporal", "readout"), PAIRWISE)
def test_every_two_options_decode_together_and_the_edges_matter(graph, spatial, temporal, readout):
    check_that_it_decodes_with_its_edges(graph, spatial, temporal, readout)


@pytest.mark.slow
@pytest.mark.parametrize(("graph", "spatial", "temporal", "readout"), sorted(set(EVERY) - set(PAIRWISE)))
def test_all_other_combinations_decode_and_the_edges_matter(graph, spatial, temporal, readout):
    check_that_it_decodes_with_its_edges(graph, spatial, temporal, readout)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_without_edges_what_a_unit_adds_does_not_depend_on_other_units(spatial):
    network = network_of(graph="identity", spatial=spatial)
    x = some_trials()
    other = x.clone()
    other[:, :, 1:] += 1.0
    edges = network.graph(x)
    torch.testing.assert_close(network._mixed(x, edges, 1)[..., 0], network._mixed(other, edges, 1)[..., 0])


# ---------------------------------------------------------------- bugs that others had


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("graph", ["learned", "learned per bin", "learned per trial"])
def test_cutting_edges_changes_the_logits_of_every_trial(graph, spatial):
    """Learned edges once reached the first trial of a batch only."""
    network, x = network_of(graph=GRAPHS[graph], spatial=spatial), some_trials()
    before = network(x)
    with torch.no_grad():
        network.graph.weights[:, :, 2:] = -1.0
    assert ((network(x) - before).abs().amax(dim=1) > 1e-9).all()


@pytest.mark.parametrize("graph", GRAPHS)
def test_trials_in_another_order_come_out_in_that_order_and_do_not_see_each_other(graph):
    network, x = network_of(graph=GRAPHS[graph], spatial="gatv2"), some_trials()
    together = network(x)
    torch.testing.assert_close(network(x.flip(0)), together.flip(0))
    torch.testing.assert_close(torch.cat([network(trial[None]) for trial in x]), together)


def test_every_trial_gives_the_graph_a_gradient():
    network, x = network_of(graph=LearnedGraph()), some_trials()
    for trial in x:
        network.zero_grad()
        network(trial[None]).square().sum().backward()
        assert network.graph.weights.grad.abs().sum() > 0


@pytest.mark.parametrize("spatial", SPATIAL)
def test_edges_below_the_threshold_are_not_there(spatial):
    """A threshold was once computed and never applied."""
    network, x = network_of(graph=LearnedGraph(threshold=0.5), spatial=spatial), some_trials()
    with torch.no_grad():
        network.graph.weights[0, 2, 5] = 0.49
    low = network(x)
    assert network.mean_adjacency(x)[2, 5] == 0
    with torch.no_grad():
        network.graph.weights[0, 2, 5] = -3.0
    torch.testing.assert_close(network(x), low, rtol=0, atol=0)
    with torch.no_grad():
        network.graph.weights[0, 2, 5] = 0.51
    assert (network(x) - low).abs().max() > 1e-9


def test_one_optimiser_holds_the_adjacency_once_and_steps_it_once_a_batch(monkeypatch):
    """The adjacency was once stepped by two optimisers."""
    made = []

    class Watched(torch.optim.AdamW):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.n_steps = 0
            made.append(self)

        def step(self, *arguments, **options):
            self.n_steps += 1
            return super().step(*arguments, **options)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    decoder = quick(graph=LearnedGraph(), max_epochs=3, batch_size=25).fit(X[TRAIN], Y[TRAIN])
    assert [optimiser.n_steps for optimiser in made] == [3 * 150 / 25]
    held = [id(parameter) for group in made[0].param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in decoder.network_.parameters())
    assert held.count(id(decoder.network_.graph.weights)) == 1
    assert made[0].state[decoder.network_.graph.weights]["step"] == 18


def test_no_label_reaches_the_graph_of_a_class():
    """The graph of a trial was once chosen by its true class. Here every trial is scored with the graphs of all."""
    network, x = network_of(graph=LearnedGraph("per-class", rank=2)), some_trials()
    before = network(x)
    with torch.no_grad():
        network.graph.of_class[:, 1] += 1.0
    changed = (network(x) - before).abs() > 1e-9
    assert changed.tolist() == [[False, True, False]] * len(x)


@pytest.mark.parametrize("graph", ["correlation", "partial-correlation", LearnedGraph(init="correlation")])
def test_other_labels_leave_the_graph_at_the_start_bit_identical(graph):
    still = {"max_epochs": 1, "learning_rate": 1e-30, "weight_decay": 0.0}
    first = quick(graph=graph, **still).fit(X[TRAIN], Y[TRAIN])
    second = quick(graph=graph, **still).fit(X[TRAIN], np.random.default_rng(0).permutation(Y[TRAIN]))
    np.testing.assert_array_equal(first.mean_adjacency_, second.mean_adjacency_)
    assert first.mean_adjacency_.any()


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("temporal", TEMPORAL)
def test_bins_in_reverse_order_give_other_logits(temporal, readout):
    """A Transformer once had no position of the bin."""
    network, x = network_of(temporal=temporal, readout=readout), some_trials()
    assert ((network(x) - network(x.flip(1))).abs().amax(dim=1) > 1e-4).all()


def test_a_trial_is_decoded_from_its_own_bins_only():
    """Rows were once split before they were cut into sequences, so that some straddled two presentations."""
    decoder = quick().fit(X[TRAIN], Y[TRAIN])
    before = decoder.predict_proba(X[TEST])
    other = X[TEST].copy()
    other[4] += 5
    changed = (decoder.predict_proba(other) != before).any(axis=1)
    assert changed.tolist() == [place == 4 for place in range(90)]


def test_trials_reach_the_network_one_presentation_a_row(monkeypatch):
    seen = []
    forward = networks.SpatiotemporalNetwork.forward

    def watched(self, trials):
        if self.training:
            seen.append(trials.clone())
        return forward(self, trials)

    monkeypatch.setattr(networks.SpatiotemporalNetwork, "forward", watched)
    decoder = quick(max_epochs=1, input_noise=0.0).fit(X[TRAIN], Y[TRAIN])
    rows = torch.cat(seen).numpy()
    expected = decoder._scaled(np.sqrt(X[TRAIN] + 0.375).astype(np.float32))
    assert rows.shape == expected.shape
    for bins in (rows, expected):
        bins[:] = bins[np.lexsort(np.round(bins.reshape(len(bins), -1), 3).T)]
    np.testing.assert_allclose(rows, expected, atol=1e-4)


# ---------------------------------------------------------------- graphs per class


@pytest.mark.parametrize("dense_limit", [N_UNITS, 2])
def test_classes_that_are_scored_in_parts_get_the_same_logits_and_gradients(dense_limit, monkeypatch):
    monkeypatch.setattr(module, "DENSE_LIMIT", dense_limit)
    x, found = some_trials(), []
    for limit in (10_000_000, 1):
        monkeypatch.setattr(networks, "_CLASS_CHUNK", limit)
        network = network_of(graph=LearnedGraph("per-class-per-bin", rank=2, refine_rounds=1), spatial="gatv2")
        logits = network(x)
        logits.square().sum().backward()
        found.append([logits, *(parameter.grad for parameter in network.parameters())])
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(whole, parts)


def test_the_logit_of_a_class_is_that_of_a_network_with_the_graph_of_that_class_alone():
    network, x = network_of(graph=LearnedGraph("per-class", rank=2)), some_trials()
    with torch.no_grad():
        network.graph.of_class.normal_()
    logits, edges = network(x), network.graph(x)
    for place in range(N_CLASSES):
        alone = network._mixed(x, edges.select(torch.tensor([place])), 1)
        torch.testing.assert_close(network._logits(alone[0])[:, place], logits[:, place])


# ---------------------------------------------------------------- what a decoder used


@pytest.mark.parametrize("name", ["gcn", "gat", "st-gnn", "st-gcn", "st-gat", "st-transformer"])
def test_the_graph_of_every_decoder_as_it_comes_takes_part_in_its_answers(name):
    decoder = registry.make(name).fit(X[TRAIN], Y[TRAIN])
    before = decoder.predict_proba(X[TEST])
    with torch.no_grad():
        decoder.network_.outwards.zero_()
    assert np.abs(decoder.predict_proba(X[TEST]) - before).max() > 1e-3


@pytest.mark.parametrize("rank", [None, 4])
def test_graphs_that_learned_from_other_trials_do_not_agree_because_of_a_common_start(rank):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2):
        trials, labels = rng.poisson(2, (60, 1, 40)), rng.permutation(np.arange(60) % 3)
        decoder = quick(graph=LearnedGraph(rank=rank), random_state=0).fit(trials, labels)
        found.append(decoder.mean_adjacency_[~np.eye(40, dtype=bool)])
    assert abs(np.corrcoef(*found)[0, 1]) < 0.3


def test_the_adjacency_is_labelled_by_source_and_target():
    ids = np.arange(N_UNITS) * 10 + 951_000_000
    matrix = given()
    decoder = quick(graph=GivenGraph(matrix), unit_ids=ids).fit(X[TRAIN], Y[TRAIN])
    adjacency = decoder.adjacency_
    assert adjacency.dims == ("source_unit", "target_unit")
    scale = N_UNITS / matrix.sum()
    np.testing.assert_allclose(adjacency.sel(source_unit=ids[2], target_unit=ids), matrix[2] * scale, rtol=1e-5)
    assert "not connectivity" in adjacency.attrs["description"]


@pytest.mark.parametrize(
    ("graph", "dims", "shape"),
    [
        ("learned", ("source_unit", "target_unit"), (8, 8)),
        ("learned refined", ("source_unit", "target_unit"), (8, 8)),
        ("learned per trial", ("source_unit", "target_unit"), (8, 8)),
        ("given per bin", ("bin", "source_unit", "target_unit"), (3, 8, 8)),
        ("learned per bin low rank refined", ("bin", "source_unit", "target_unit"), (3, 8, 8)),
        ("learned per class", ("class", "side", "unit", "rank"), (3, 2, 8, 2)),
        ("learned per class per bin", ("class", "bin", "side", "unit", "rank"), (3, 3, 2, 8, 2)),
    ],
)
def test_the_adjacency_has_a_dimension_for_what_the_graph_is_per(graph, dims, shape):
    labels = np.array(["a", "b", "c"], dtype=object)[Y[TRAIN]]
    decoder = quick(graph=GRAPHS[graph], max_epochs=1).fit(X[TRAIN], labels)
    adjacency = decoder.adjacency_
    assert (adjacency.dims, adjacency.shape, adjacency.dtype) == (dims, shape, np.float32)
    if "class" in dims:
        assert adjacency["class"].values.tolist() == ["a", "b", "c"]
    if "bin" in dims:
        assert adjacency["bin"].values.tolist() == [0, 1, 2]
    assert (adjacency >= 0).all()


def test_factors_of_a_class_multiply_to_its_weights():
    decoder = quick(graph=GRAPHS["learned per class"]).fit(X[TRAIN], Y[TRAIN])
    factors = decoder.adjacency_.to_numpy()
    weights = np.einsum("cir,cjr->cij", factors[:, 0], factors[:, 1]) * (1 - np.eye(N_UNITS))
    chosen = decoder.adjacency(X[:5])
    assert chosen.dims == ("class", "source_unit", "target_unit")
    np.testing.assert_allclose(chosen, weights, rtol=1e-5)


@pytest.mark.parametrize("graph", ["learned per trial", "learned refined", "learned per trial low rank refined"])
def test_the_adjacency_is_the_mean_over_training_trials_of_those_of_each(graph):
    decoder = quick(graph=GRAPHS[graph], max_epochs=2).fit(X[:70], Y[:70])
    each = [decoder.adjacency(trial[None]).to_numpy() for trial in X[:70]]
    assert np.ptp(each, axis=0).max() > 1e-4
    np.testing.assert_allclose(decoder.adjacency_, np.mean(each, axis=0), rtol=1e-4, atol=1e-6)


def test_graphs_that_do_not_depend_on_the_trial_are_the_same_for_all():
    decoder = quick(graph=LearnedGraph()).fit(X[TRAIN], Y[TRAIN])
    np.testing.assert_array_equal(decoder.adjacency(X[:1]), decoder.adjacency_)


@pytest.mark.parametrize("graph", ["learned", "learned per class", "learned per bin", "learned per trial"])
def test_attention_is_labelled_and_every_unit_shares_out_one(graph):
    decoder = quick(GAT, graph=GRAPHS[graph]).fit(X[TRAIN], Y[TRAIN])
    assert decoder.attention_.dims == ("source_unit", "target_unit")
    np.testing.assert_allclose(decoder.attention_.sum("source_unit"), 1.0, rtol=1e-5)


def test_attention_is_on_edges_and_oneself_only():
    matrix = given()
    decoder = quick(GAT, graph=matrix).fit(X[TRAIN], Y[TRAIN])
    there = decoder.attention_.to_numpy() > 0
    np.testing.assert_array_equal(there, (matrix > 0) | np.eye(N_UNITS, dtype=bool))


def test_a_block_without_attention_has_none():
    decoder = quick(STGCN).fit(X[TRAIN], Y[TRAIN])
    assert not hasattr(decoder, "attention_")
    with pytest.raises(AttributeError, match="'gcn' has no attention"):
        decoder.attention_  # noqa: B018


def test_refitting_with_another_block_forgets_the_attention():
    decoder = quick(GAT, max_epochs=1).fit(X[TRAIN], Y[TRAIN]).set_params(spatial="gcn").fit(X[TRAIN], Y[TRAIN])
    assert not hasattr(decoder, "attention_")


def test_above_the_limit_each_unit_attends_to_its_strongest_sources(monkeypatch):
    monkeypatch.setattr(module, "DENSE_LIMIT", 5)
    matrix = given()
    decoder = quick(GAT, graph=matrix, n_sources=2).fit(X[TRAIN], Y[TRAIN])
    strongest = np.argsort(-matrix, axis=0, kind="stable")[:2]
    expected = np.eye(N_UNITS, dtype=bool)
    expected[strongest, np.arange(N_UNITS)] = np.take_along_axis(matrix, strongest, axis=0) > 0
    np.testing.assert_array_equal(decoder.attention_.to_numpy() > 0, expected)
    np.testing.assert_array_equal(decoder.adjacency_.to_numpy() > 0, expected & ~np.eye(N_UNITS, dtype=bool))
    np.testing.assert_allclose(decoder.attention_.sum("source_unit"), 1.0, rtol=1e-5)


@pytest.mark.parametrize("scope", ["single", "per-class", "per-trial", "per-bin"])
def test_strongest_sources_of_learned_graphs_are_chosen_every_epoch(monkeypatch, scope):
    monkeypatch.setattr(module, "DENSE_LIMIT", 5)
    graph = LearnedGraph(scope, rank=2)
    decoder = quick(STGAT, graph=graph, n_sources=3, learning_rate=0.05).fit(X[TRAIN], Y[TRAIN])
    network = decoder.network_
    assert network.graph.sources.shape[-1] == 3
    before = network.graph.sources.clone()
    with torch.no_grad():
        network.graph.graph.shared.copy_(network.graph.graph.shared.flip(1))
    network.graph.start_epoch()
    assert (network.graph.sources != before).any()
    assert decoder.score(X[TEST], Y[TEST]) > 0.4


# ---------------------------------------------------------------- parameters


def test_the_registered_decoders_are_what_they_are_called():
    parts = {name: registry.get(name) for name in ("gcn", "gat", "st-gnn", "st-gcn", "st-gat", "st-transformer")}
    found = {name: (kind().spatial, kind().temporal) for name, kind in parts.items()}
    assert found == {
        "gcn": ("gcn", "none"),
        "gat": ("gatv2", "none"),
        "st-gnn": ("message-passing", "lstm"),
        "st-gcn": ("gcn", "lstm"),
        "st-gat": ("gatv2", "lstm"),
        "st-transformer": ("gcn", "transformer"),
    }


def test_parameters_of_the_graph_are_set_by_name():
    decoder = quick(graph=LearnedGraph())
    decoder.set_params(graph__threshold=0.3)
    assert decoder.graph.threshold == 0.3


def test_the_graph_that_was_passed_is_not_changed_by_fitting():
    graph = LearnedGraph()
    before = dict(vars(graph))
    quick(graph=graph, max_epochs=1).fit(X[TRAIN], Y[TRAIN])
    assert vars(graph) == before


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"graph": np.stack([given(), given()])}, ConfigError, "each of 3 bins, got 2 graphs"),
        ({"graph": np.eye(7)}, ConfigError, "8 x 8 units.*7, 7"),
        ({"graph": "small-world"}, UnknownNameError, "small-world"),
        ({"graph": 3}, ConfigError, "expected a graph"),
        ({"graph": LearnedGraph("per-neuron")}, UnknownNameError, "per-neuron.*per-trial"),
        ({"spatial": "gat"}, UnknownNameError, "spatial block 'gat'.*gatv2"),
        ({"temporal": "rnn"}, UnknownNameError, "temporal block 'rnn'.*gru"),
        ({"readout": "last"}, UnknownNameError, "read-out 'last'.*trial"),
        ({"unit_features": 0}, ConfigError, "unit_features of at least 1, got 0"),
        ({"spatial": "sgc", "n_hops": 0}, ConfigError, "n_hops of at least 1, got 0"),
        ({"temporal": "transformer", "n_heads": 3}, ConfigError, "hidden_size=16 and n_heads=3"),
        ({"unit_ids": [1, 2, 3]}, UnitIdsError, "unit_ids of 8 units"),
        ({"unit_ids": np.zeros(8)}, UnitIdsError, "all different"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_change(options, error, words):
    with pytest.raises(error, match=words):
        quick(**options).fit(X[TRAIN], Y[TRAIN])


@pytest.mark.parametrize("kind", [STGNN, STTransformer])
def test_the_scalars_of_a_spatial_block_are_at_least_one(kind):
    with pytest.raises(ConfigError, match="unit_features"):
        quick(kind, unit_features=-1).fit(X[TRAIN], Y[TRAIN])


def test_edges_used_are_dense_where_they_were_given():
    network = network_of(graph=given())
    edges, per = network._edges_used(some_trials())
    assert isinstance(edges, DenseEdges)
    assert per == ()


# ---------------------------------------------------------------- storage


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_stored_decoder_has_the_same_graph_and_predicts_the_same_bits(graph, tmp_path):
    kind = GAT if "per trial" in graph else STGCN
    decoder = quick(kind, graph=GRAPHS[graph], unit_ids=np.arange(N_UNITS) + 100, max_epochs=1).fit(X[TRAIN], Y[TRAIN])
    save_decoder(decoder, tmp_path / "stored", unit_ids=np.arange(N_UNITS) + 100, meta={})
    loaded, _ = load_decoder(tmp_path / "stored")
    np.testing.assert_array_equal(loaded.predict_proba(X[TEST]), decoder.predict_proba(X[TEST]))
    xr.testing.assert_identical(loaded.adjacency_, decoder.adjacency_)
    xr.testing.assert_identical(loaded.adjacency(X[:3]), decoder.adjacency(X[:3]))
    assert hasattr(loaded, "attention_") == hasattr(decoder, "attention_")


@pytest.mark.parametrize("scope", ["single", "per-class", "per-trial"])
def test_a_stored_decoder_keeps_the_edges_it_chose(scope, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "DENSE_LIMIT", 5)
    decoder = quick(STGAT, graph=LearnedGraph(scope, rank=2), n_sources=3, max_epochs=2).fit(X[TRAIN], Y[TRAIN])
    save_decoder(decoder, tmp_path / "stored", unit_ids=np.arange(N_UNITS), meta={})
    loaded, _ = load_decoder(tmp_path / "stored")
    np.testing.assert_array_equal(loaded.predict_proba(X[TEST]), decoder.predict_proba(X[TEST]))
    xr.testing.assert_identical(loaded.attention_, decoder.attention_)


def test_the_graph_of_a_decoder_can_be_written_to_a_file(tmp_path):
    """`benchmark` keeps it as NetCDF."""
    for place, graph in enumerate(("learned", "learned per class per bin", "learned per bin")):
        labels = np.array(["x=1", "x=2", "blank"], dtype=object)[Y[TRAIN]]
        decoder = quick(graph=GRAPHS[graph], max_epochs=1).fit(X[TRAIN], labels)
        write_graph(decoder.adjacency_, tmp_path, str(place))
        with xr.open_dataset(tmp_path / "graphs" / f"{place}.nc", engine="h5netcdf") as file:
            xr.testing.assert_allclose(file["adjacency"].load(), decoder.adjacency_)
