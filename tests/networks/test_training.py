import math
from dataclasses import replace

import pytest
import torch
from threadpoolctl import threadpool_info
from tiny_fit import SETTINGS, fit, network, trials
from torch import nn

from spikesight.errors import ConfigError, TrainingError
from spikesight.networks.devices import one_thread, resolve_device
from spikesight.networks.dropout import UnitDropout
from spikesight.networks.training import TrainingSettings, fit_network

ONE_STEP = TrainingSettings(max_epochs=1, batch_size=4, learning_rate=0.1, weight_decay=0.0, warm_up=0.0)


def weights(trained):
    return [value.clone() for value in trained.state_dict().values()]


def without_seconds(history):
    return [{key: value for key, value in record.items() if key != "seconds"} for record in history]


def same(first, second):
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_one_update_of_one_weight_is_a_step_of_the_learning_rate_down_the_gradient():
    """AdamW's first step is the learning rate times the sign of the gradient."""
    line = nn.Linear(1, 1, bias=False)
    nn.init.constant_(line.weight, 1.0)
    history = fit_network(line, torch.ones(1, 1), torch.zeros(1, 1), ONE_STEP, loss=nn.functional.mse_loss)
    assert line.weight.item() == pytest.approx(0.9)
    assert history[0]["loss"] == 1.0
    assert history[0]["learning_rate"] == 0.1
    assert math.isnan(history[0]["accuracy"])


def test_the_network_learns_the_classes():
    trained, history = fit(replace(SETTINGS, max_epochs=30))
    inputs, targets = trials(200, seed=2)
    assert (trained(inputs).argmax(dim=1) == targets).float().mean() > 0.85
    assert history[-1]["loss"] < history[0]["loss"] - 0.3
    assert history[-1]["valid_accuracy"] > 0.8


def test_the_history_has_a_record_of_every_epoch():
    _, history = fit()
    assert [record["epoch"] for record in history] == list(range(6))
    keys = {"epoch", "loss", "accuracy", "valid_loss", "valid_accuracy", "learning_rate", "seconds"}
    assert all(set(record) == keys for record in history)
    assert all(0 <= record["accuracy"] <= 1 and record["seconds"] > 0 for record in history)


def test_without_validation_trials_their_loss_is_not_known():
    history = fit_network(network(), *trials(), SETTINGS)
    assert all(math.isnan(record["valid_loss"]) and math.isnan(record["valid_accuracy"]) for record in history)


def test_the_learning_rate_rises_and_falls_to_almost_nothing():
    settings = TrainingSettings(learning_rate=1.0, warm_up=0.1)
    rates = [settings.rate(update, 100) for update in range(100)]
    assert rates[:3] == pytest.approx([1 / 11, 2 / 11, 3 / 11])
    assert max(rates) == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.001


@pytest.mark.parametrize(("n_trials", "n_batches"), [(1, 1), (3, 3), (10, 4), (64, 4), (65, 5), (160, 10)])
def test_an_epoch_has_at_least_four_updates_where_there_are_as_many_trials(n_trials, n_batches):
    assert TrainingSettings(batch_size=16).n_batches(n_trials) == n_batches


def test_an_epoch_shows_every_trial_once():
    seen = []

    class Recorder(nn.Linear):
        def forward(self, inputs):
            seen.append(inputs[:, 0].clone())
            return super().forward(inputs)

    fit_network(
        Recorder(1, 2), torch.arange(50.0)[:, None], torch.zeros(50, dtype=torch.long), replace(ONE_STEP, max_epochs=2)
    )
    first, second = torch.cat(seen[:13]), torch.cat(seen[13:])
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(50))
    assert not torch.equal(first, second)


def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others():
    first, second, other = fit(seed=3), fit(seed=3), fit(seed=4)
    assert same(weights(first[0]), weights(second[0]))
    assert without_seconds(first[1]) == without_seconds(second[1])
    assert not same(weights(first[0]), weights(other[0]))


def test_the_global_generators_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit()
    assert torch.equal(torch.rand(3), expected)


def test_the_weights_with_the_lowest_validation_loss_are_restored():
    kept = []
    trained = network()
    history = fit_network(
        trained,
        *trials(),
        replace(SETTINGS, max_epochs=40, learning_rate=0.1),
        valid=trials(20, seed=1),
        on_epoch=lambda record: kept.append(weights(trained)),
    )
    losses = [record["valid_loss"] for record in history]
    best = losses.index(min(losses))
    assert best < len(losses) - 1
    assert same(weights(trained), kept[best])


def test_training_stops_when_the_validation_loss_is_no_longer_lowered():
    settings = replace(SETTINGS, max_epochs=200, learning_rate=0.1)
    _, history = fit(replace(settings, patience=4))
    losses = [record["valid_loss"] for record in history]
    assert len(losses) - 1 - losses.index(min(losses)) == 4
    assert len(fit(replace(settings, max_epochs=30))[1]) == 30


def test_validation_trials_teach_nothing():
    inputs, targets = trials(20, seed=1)
    settings = replace(SETTINGS, max_epochs=1)
    ends = []
    for valid in (None, (inputs, targets), (9 * inputs, 2 - targets)):
        trained = network()
        fit_network(trained, *trials(), settings, valid=valid)
        ends.append(weights(trained))
    assert same(ends[0], ends[1])
    assert same(ends[0], ends[2])


def test_biases_do_not_decay_and_matrices_do():
    line = nn.Linear(2, 2)
    before = weights(line)
    settings = replace(ONE_STEP, weight_decay=1.0)
    fit_network(line, torch.zeros(4, 2), torch.zeros(4, 2), settings, loss=lambda outputs, targets: 0 * outputs.sum())
    left = math.prod(1 - settings.rate(update, 4) for update in range(4))
    torch.testing.assert_close(line.weight.detach(), before[0] * left)
    assert torch.equal(line.bias, before[1])


def test_the_gradient_is_clipped():
    """Adam does not mind the size of a constant gradient, but that of a first one against a later one."""
    ends = []
    for clip_norm in (1e9, 1e-3):
        line = nn.Linear(1, 1, bias=False)
        nn.init.constant_(line.weight, 1.0)
        inputs = torch.tensor([[1.0], [1000.0]])
        fit_network(
            line,
            inputs,
            torch.zeros(2, 1),
            replace(ONE_STEP, max_epochs=4, clip_norm=clip_norm),
            loss=nn.functional.mse_loss,
        )
        ends.append(line.weight.item())
    assert ends[0] != ends[1]


def test_parts_that_choose_once_per_epoch_are_told_of_every_epoch():
    class Chooser(nn.Linear):
        n_starts = 0

        def start_epoch(self):
            self.n_starts += 1

    chooser = Chooser(5, 3)
    fit_network(
        nn.Sequential(nn.Linear(5, 5), chooser), torch.randn(20, 5), torch.zeros(20, dtype=torch.long), SETTINGS
    )
    assert chooser.n_starts == 6


def test_a_frozen_parameter_is_left_as_it_is_and_a_shared_one_is_updated_once():
    line = nn.Linear(1, 1, bias=False)
    frozen = nn.Linear(1, 1, bias=False).requires_grad_(False)
    nn.init.constant_(line.weight, 1.0)
    nn.init.constant_(frozen.weight, 1.0)
    chain = nn.Sequential(line, frozen, line)
    fit_network(chain, torch.ones(1, 1), torch.zeros(1, 1), ONE_STEP, loss=nn.functional.mse_loss)
    assert line.weight.item() == pytest.approx(0.9)
    assert frozen.weight.item() == 1.0


class Stop(Exception):
    pass


def test_the_hook_gets_every_record_and_what_it_raises_stops_training():
    records = []

    def hook(record):
        records.append(record)
        if record["epoch"] == 2:
            raise Stop

    with pytest.raises(Stop):
        fit(on_epoch=hook)
    assert [record["epoch"] for record in records] == [0, 1, 2]


def test_afterwards_the_network_does_not_drop_units():
    trained, _ = fit()
    assert not trained.training
    inputs, _ = trials()
    assert torch.equal(trained(inputs), trained(inputs))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_epoch_rate_and_advice(bad):
    inputs, targets = trials()
    inputs[7] = bad
    with pytest.raises(TrainingError, match=r"epoch 0, at a learning rate of .*lower learning_rate \(now 0\.01\)"):
        fit_network(network(), inputs, targets, SETTINGS)


def test_a_gradient_that_is_not_finite_stops_too():
    """The loss is 0 and finite, its slope at 0 is not."""
    line = nn.Linear(1, 1, bias=False)
    with pytest.raises(TrainingError, match="epoch 0"):
        fit_network(
            line,
            torch.zeros(1, 1),
            torch.zeros(1, 1),
            ONE_STEP,
            loss=lambda outputs, targets: outputs.abs().sqrt().sum(),
        )


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("weight_decay", -0.1),
        ("label_smoothing", 1.0),
        ("clip_norm", 0.0),
        ("warm_up", 1.5),
        ("patience", 0),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(setting, value):
    with pytest.raises(ConfigError, match=f"expected {setting}"):
        fit(replace(SETTINGS, **{setting: value}))


def test_trials_without_targets_are_refused():
    inputs, targets = trials()
    with pytest.raises(ConfigError, match="60 trials, 59 targets"):
        fit_network(network(), inputs, targets[1:], SETTINGS)
    with pytest.raises(ConfigError, match="validation trial, got 0 trials"):
        fit_network(network(), inputs, targets, SETTINGS, valid=(inputs[:0], targets[:0]))


def test_devices_that_are_not_here_or_not_known_are_refused():
    with pytest.raises(ConfigError, match="auto, cpu, cuda, mps, got 'gpu'"):
        resolve_device("gpu")
    absent = [
        name
        for name, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()))
        if not there
    ]
    for name in absent:
        with pytest.raises(ConfigError, match="use device='auto'"):
            fit(device=name)
    assert resolve_device("cpu").type == "cpu"


def test_one_thread_is_used_and_the_callers_number_is_put_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_unit_dropout_silences_units_in_all_bins_and_keeps_the_mean():
    silence = UnitDropout(0.5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        out = silence(torch.ones(2000, 3, 2))
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(out[:, 0], out[:, 2])
    assert out.mean().item() == pytest.approx(1.0, abs=0.05)
    assert not torch.equal(out[:, 0, 0], out[:, 0, 1])


def test_unit_dropout_leaves_trials_alone_when_decoding():
    trial = torch.ones(2, 3, 4)
    assert torch.equal(UnitDropout(0.5).eval()(trial), trial)


@pytest.mark.parametrize("probability", [-0.1, 1.0])
def test_a_share_of_units_that_is_none_is_refused(probability):
    with pytest.raises(ConfigError, match="unit_dropout"):
        UnitDropout(probability)
