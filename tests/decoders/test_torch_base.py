import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from spikesight.decoders import registry
from spikesight.decoders.feedforward import MLP
from spikesight.decoders.spatiotemporal import SpatiotemporalDecoder
from spikesight.decoders.storage import ARRAYS, DESCRIPTION, WEIGHTS, load_decoder, save_decoder
from spikesight.errors import ConfigError, FileFormatError, TrainingError
from spikesight.networks.graphs import LearnedGraph
from spikesight.networks.priors import ClassMixing, InputNoise

PLAIN = ["mlp", "mlp-deep", "lstm", "gru", "transformer", "cnn"]
every_network = pytest.mark.parametrize("name", PLAIN)


def trials(n_trials=120, n_bins=2, n_units=8, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_trials) % n_classes)
    rates = np.random.default_rng(1).gamma(1.0, 4.0, (n_classes, n_bins, n_units))
    return rng.poisson(rates[y]), y


def logits(decoder, X):
    return decoder._scores(X)


@pytest.fixture
def stored(tmp_path):
    decoder = MLP(max_epochs=2).fit(*trials())
    save_decoder(decoder, tmp_path / "d", unit_ids=np.arange(8), meta={})
    return tmp_path / "d"


def test_scores_are_what_the_network_says_of_scaled_trials_in_double_precision():
    X, y = trials()
    decoder = MLP(max_epochs=3, noise_factors=None, input_noise=0.0).fit(X, y)
    counts = np.sqrt(X + 0.375)
    scaled = (counts - counts.mean(axis=0)) / np.maximum(counts.std(axis=0), 0.3)
    first, last = decoder.network_[2], decoder.network_[-1]
    hidden = (
        scaled.reshape(len(X), -1) @ first.weight.detach().double().numpy().T + first.bias.detach().double().numpy()
    )
    hidden = torch.nn.functional.gelu(torch.from_numpy(hidden)).numpy()
    expected = hidden @ last.weight.detach().double().numpy().T + last.bias.detach().double().numpy()
    np.testing.assert_allclose(logits(decoder, X), expected, atol=1e-5)


@every_network
def test_every_network_decodes_new_trials(name):
    decoder = registry.make(name).fit(*trials())
    assert decoder.score(*trials(seed=5)) > 0.8


@every_network
def test_other_options_are_used(name):
    X, y = trials()
    plain = registry.make(name, max_epochs=2).fit(X, y)
    for option, value in {
        "learning_rate": 1e-2,
        "weight_decay": 30.0,
        "label_smoothing": 0.5,
        "unit_dropout": 0.0,
        "dropout": 0.0,
        "batch_size": 7,
        "noise_factors": None,
        "input_noise": 0.0,
        "random_state": 1,
        "floor": 2.0,
        "max_epochs": 3,
    }.items():
        other = registry.make(name, **{"max_epochs": 2, option: value}).fit(X, y)
        assert (logits(other, X) != logits(plain, X)).any(), option


def test_validation_trials_are_the_last_ones_behind_a_gap():
    decoder = MLP(valid_fraction=0.2)
    train, valid = decoder._rows_to_learn_from(200)
    assert (train.tolist(), valid.tolist()) == (list(range(150)), list(range(160, 200)))
    train, valid = decoder._rows_to_learn_from(20)
    assert (train.tolist(), valid.tolist()) == (list(range(15)), list(range(16, 20)))
    train, valid = MLP()._rows_to_learn_from(20)
    assert (len(train), len(valid)) == (20, 0)


def test_validation_trials_choose_the_epoch_and_nothing_else():
    X, y = trials(200)
    other = X.copy()
    other[160:] = other[160:][::-1]
    first, second = (MLP(valid_fraction=0.2, max_epochs=5).fit(counts, y) for counts in (X, other))
    assert first.history_[0]["valid_loss"] != second.history_[0]["valid_loss"]
    assert [record["loss"] for record in first.history_] == [record["loss"] for record in second.history_]
    np.testing.assert_array_equal(first.mean_, second.mean_)
    np.testing.assert_array_equal(first.gain_, second.gain_)
    assert len(MLP(valid_fraction=0.2, patience=2, learning_rate=0.3).fit(X, y).history_) < 20


def test_a_class_that_is_among_validation_trials_only_is_known():
    X, y = trials(100)
    y[-1] = 7
    decoder = MLP(valid_fraction=0.2, max_epochs=2).fit(X, y)
    assert decoder.predict_proba(X).shape == (100, 4)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("valid_fraction", 1.0),
        ("valid_fraction", -0.1),
        ("unit_dropout", 1.0),
        ("noise_factors", -1),
        ("input_noise", -1.0),
        ("input_noise", np.nan),
        ("device", "gpu"),
        ("max_epochs", 0),
        ("learning_rate", -1.0),
    ],
)
def test_an_option_that_makes_no_sense_is_named_when_fitting(option, value):
    with pytest.raises(ConfigError, match=option):
        MLP(**{option: value}).fit(*trials())


@pytest.mark.parametrize("kernel_size", [0, 2])
def test_a_filter_of_an_even_number_of_bins_is_refused(kernel_size):
    with pytest.raises(ConfigError, match="kernel_size"):
        registry.make("cnn", kernel_size=kernel_size).fit(*trials())


def test_layers_that_are_none_are_refused():
    for name in ("mlp", "cnn"):
        with pytest.raises(ConfigError, match="n_layers"):
            registry.make(name, n_layers=0).fit(*trials())


def test_a_learning_rate_that_explodes_says_so():
    with pytest.raises(TrainingError, match="lower learning_rate"):
        MLP(learning_rate=1e38, weight_decay=0.0).fit(*trials())


def test_fitted_networks_can_be_pickled_and_sent_to_another_process():
    X, y = trials()
    decoder = MLP(max_epochs=2).fit(X, y)
    np.testing.assert_array_equal(logits(pickle.loads(pickle.dumps(decoder)), X), logits(decoder, X))


def test_a_killed_decoder_goes_on_where_it_was(tmp_path):
    script = (
        "import os, signal\nfrom test_torch_base import MLP, trials\n"
        "def kill(record):\n    if record['epoch'] == 9: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"MLP(max_epochs=12, checkpoint={str(tmp_path)!r}, on_epoch=kill).fit(*trials())"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    killed = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path})
    assert killed.returncode == -signal.SIGKILL
    epochs = []
    X, y = trials()
    resumed = MLP(max_epochs=12, checkpoint=tmp_path, on_epoch=lambda record: epochs.append(record["epoch"])).fit(X, y)
    assert 0 < epochs[0] < 12
    assert len(resumed.history_) == 12
    np.testing.assert_array_equal(logits(resumed, X), logits(MLP(max_epochs=12).fit(X, y), X))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "others"),
    [
        ({"readout": "trial"}, {"readout": "bin"}),
        ({"spatial": "sgc", "n_hops": 1}, {"spatial": "sgc", "n_hops": 3}),
        ({"spatial": "sgc", "n_hops": 1}, {"spatial": "gcn"}),
        ({"graph": LearnedGraph(threshold=0.1)}, {"graph": LearnedGraph(threshold=0.9)}),
        ({"graph": LearnedGraph(refine_rounds=1)}, {"graph": LearnedGraph(refine_rounds=2)}),
        ({"temporal": "transformer", "n_heads": 2}, {"temporal": "transformer", "n_heads": 4}),
    ],
)
def test_an_unfinished_fit_is_not_taken_up_by_one_with_another_option(options, others, tmp_path):
    def stop(record):
        raise KeyboardInterrupt

    X, y = trials()
    common = {"hidden_size": 16, "max_epochs": 3, "checkpoint": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        SpatiotemporalDecoder(**common, **options, on_epoch=stop).fit(X, y)
    epochs = []
    SpatiotemporalDecoder(**common, **others, on_epoch=lambda record: epochs.append(record["epoch"])).fit(X, y)
    assert epochs == [0, 1, 2]
    assert len(list(tmp_path.iterdir())) == 1  # the first one waits


def test_noise_is_added_in_training_only():
    noise = InputNoise(torch.tensor([[0.0, 2.0]]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        out = noise(torch.ones(5000, 1, 2))
    assert (out[..., 0] == 1).all()
    assert out[..., 1].std().item() == pytest.approx(2.0, rel=0.05)
    assert (noise.eval()(torch.ones(5, 1, 2)) == 1).all()


def test_scores_of_patterns_become_scores_of_classes():
    mixing = ClassMixing(torch.tensor([[1.0, 0.5], [0.0, 2.0]]))
    assert mixing(torch.tensor([[1.0, 10.0]])).tolist() == [[1.0, 20.5]]


# ---------------------------------------------------------------- storage


def test_a_stored_network_is_json_arrays_and_safetensors_and_has_its_history(stored):
    assert sorted(path.name for path in stored.iterdir()) == [ARRAYS, DESCRIPTION, WEIGHTS]
    loaded, _ = load_decoder(stored)
    fresh = MLP(max_epochs=2).fit(*trials())
    assert [record["loss"] for record in loaded.history_] == [record["loss"] for record in fresh.history_]
    assert loaded.n_parameters_ == fresh.n_parameters_
    assert not loaded.network_.training


def test_where_a_fit_was_kept_and_who_watched_it_are_not_stored(tmp_path):
    decoder = MLP(max_epochs=2, checkpoint=tmp_path / "unfinished", on_epoch=lambda record: None).fit(*trials())
    save_decoder(decoder, tmp_path / "d", unit_ids=np.arange(8), meta={})
    loaded, _ = load_decoder(tmp_path / "d")
    assert (loaded.checkpoint, loaded.on_epoch) == (None, None)


def test_loading_leaves_the_global_generator_alone(stored):
    before = torch.get_rng_state()
    load_decoder(stored)
    assert torch.equal(torch.get_rng_state(), before)


def test_missing_weights_are_named(stored):
    (stored / WEIGHTS).unlink()
    with pytest.raises(FileFormatError, match=WEIGHTS):
        load_decoder(stored)


@pytest.mark.parametrize("size", [0, 5, 100, 2000])
def test_truncated_weights_are_refused(size, stored):
    (stored / WEIGHTS).write_bytes((stored / WEIGHTS).read_bytes()[:size])
    with pytest.raises(FileFormatError, match=WEIGHTS):
        load_decoder(stored)


def test_pickled_weights_are_never_loaded(stored):
    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('the file ran')",))

    torch.save({"weights": torch.zeros(2)}, stored / WEIGHTS)
    with pytest.raises(FileFormatError, match=WEIGHTS):
        load_decoder(stored)
    (stored / WEIGHTS).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FileFormatError, match=WEIGHTS):
        load_decoder(stored)


def test_weights_of_another_network_are_refused(stored):
    weights = load_file(stored / WEIGHTS)
    name = next(iter(weights))
    for other in ({**weights, name: weights[name][:1]}, {**weights, "more": weights[name].clone()}, {}):
        save_file(other, stored / WEIGHTS)
        with pytest.raises(FileFormatError, match="does not hold the weights"):
            load_decoder(stored)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_weights_that_are_not_finite_are_refused(value, stored):
    weights = load_file(stored / WEIGHTS)
    save_file({name: torch.full_like(tensor, value) for name, tensor in weights.items()}, stored / WEIGHTS)
    with pytest.raises(FileFormatError, match="not finite"):
        load_decoder(stored)
