"""Every stimulus of both session types is decoded by name, from a file, better than by chance."""

from pathlib import Path

import numpy as np
import pytest

from every_stimulus import ROWS, session_with_every_stimulus
from spikesight.config import load_config
from spikesight.data.binning import bin_spikes
from spikesight.data.catalogue import STIMULI
from spikesight.data.counts import read_counts, write_counts
from spikesight.data.nwb_write import write_session
from spikesight.data.presentations import select_trials
from spikesight.data.simulation import simulate_session
from spikesight.data.simulation.presets import SessionType
from spikesight.data.stimuli import targets_of
from spikesight.decoders import registry
from spikesight.errors import TooFewRepeatsError
from spikesight.evaluation.benchmark import evaluate
from spikesight.evaluation.sources import load_source
from spikesight.splits import BlockKFold

ONE_CLASS = {("drifting_gratings_75_repeats", "contrast")}
"""What real sessions vary (0.1 and 0.8) and simulated ones do not."""
TWICE = {("drifting_gratings_75_repeats", "all")}
"""With one contrast, the same question as the direction."""
DOCUMENTATION = Path(__file__).parents[1] / "docs" / "stimuli.md"
QUESTIONS = [
    (session_type, stimulus, target)
    for session_type, stimuli in STIMULI.items()
    for stimulus in stimuli
    for target in targets_of(stimulus)
    if (stimulus, target) not in ONE_CLASS | TWICE
]
SURE = 4.0
"""Standard deviations above chance: once in 30,000 questions by accident."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[SessionType, Path]:
    folder = tmp_path_factory.mktemp("sessions")
    return {name: write_session(session_with_every_stimulus(name), folder / f"{name}.nwb") for name in ROWS}


@pytest.mark.parametrize(("session_type", "stimulus", "target"), QUESTIONS)
def test_every_stimulus_is_decoded_above_chance_by_name(
    files: dict[SessionType, Path], session_type: SessionType, stimulus: str, target: str
) -> None:
    file = files[session_type]
    config = load_config(overrides={"sources": [file], "stimulus": stimulus, "target": target, "blanks": "drop"})
    dataset = load_source(file, config).dataset
    predictions = evaluate("fa-lda", dataset, BlockKFold(3, gap=5)).predictions
    n_trials = len(predictions)
    largest_class = np.unique(dataset["target"], return_counts=True)[1].max() / dataset.sizes["trial"]
    accuracy = float((predictions["y_true"] == predictions["y_pred"]).mean())
    assert accuracy > largest_class + SURE * np.sqrt(largest_class * (1 - largest_class) / n_trials)


@pytest.mark.parametrize("session_type", list(ROWS))
def test_the_default_target_of_every_stimulus_is_its_first_name(
    files: dict[SessionType, Path], session_type: SessionType
) -> None:
    file = files[session_type]
    for stimulus in STIMULI[session_type]:
        asked = {"sources": [file], "stimulus": stimulus}
        by_default = load_source(file, load_config(overrides=asked)).dataset
        by_name = load_source(
            file, load_config(overrides={**asked, "target": next(iter(targets_of(stimulus)))})
        ).dataset
        assert by_default.identical(by_name)


def test_frames_are_counted_when_cortex_answers_unless_asked_otherwise(files: dict[SessionType, Path]) -> None:
    file = files["brain_observatory_1.1"]
    asked = {"sources": [file], "stimulus": "natural_movie_one", "target": "frame"}
    windows = [
        load_source(file, load_config(overrides={**asked, **binning})).dataset.attrs["window"]
        for binning in ({}, {"n_bins": 1}, {"window": (0.0, 0.05)}, {"target": "segment"})
    ]
    assert windows == [[0.03, 0.13], "presentation", [0.0, 0.05], "presentation"]


def test_the_sessions_have_the_stimuli_of_their_type() -> None:
    assert {name: set(rows) for name, rows in ROWS.items()} == {name: set(shown) for name, shown in STIMULI.items()}


def test_conditions_with_too_few_repeats_are_refused_with_what_to_do(files: dict[SessionType, Path]) -> None:
    file = files["functional_connectivity"]
    asked = {"sources": [file], "stimulus": "drifting_gratings_contrast", "target": "all"}
    dataset = load_source(file, load_config(overrides=asked)).dataset
    with pytest.raises(TooFewRepeatsError, match=r"decode a coarser target"):
        evaluate("fa-lda", dataset, BlockKFold(6, gap=5))


def test_binned_trials_are_decoded_by_the_same_names(files: dict[SessionType, Path], tmp_path: Path) -> None:
    file, binned = files["functional_connectivity"], tmp_path / "dots.nc"
    question = {"sources": [file], "stimulus": "dot_motion"}
    write_counts(load_source(file, load_config(overrides={**question, "target": "all"})).dataset, binned)
    for target, column in (("speed", "Speed"), ("direction", "Dir"), ("Dir", "Dir")):
        before = load_source(file, load_config(overrides={**question, "target": target})).dataset
        after = read_counts(binned, target=target)
        assert after["target"].equals(before["target"])
        assert after.attrs["target"] == before.attrs["target"] == column


@pytest.mark.slow
def test_the_preset_serves_the_stimuli_of_functional_connectivity() -> None:
    session = simulate_session("functional_connectivity", 0, n_units=100).session
    for stimulus in STIMULI["functional_connectivity"]:
        if stimulus == "natural_movie_one_shuffled":  # frames shown twice: too few for 100 units
            continue
        dataset = bin_spikes(select_trials(session, stimulus), n_bins=1)
        predictions = evaluate("fa-lda", dataset, BlockKFold(5, gap=5)).predictions
        chance = 1 / len(np.unique(dataset["target"]))
        accuracy = float((predictions["y_true"] == predictions["y_pred"]).mean())
        assert accuracy > chance + SURE * np.sqrt(chance * (1 - chance) / len(predictions)), stimulus


def test_every_target_is_documented_with_its_columns() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in DOCUMENTATION.read_text().splitlines()
            if line.startswith("| ")]  # fmt: skip
    documented = {(row[0], row[1]): row for row in rows[1:]}
    expected = {
        (stimulus, target) for shown in STIMULI.values() for stimulus in shown for target in targets_of(stimulus)
    }
    assert set(documented) == expected
    for (stimulus, target), row in documented.items():
        columns = [column.replace("segment", "frame") for column in targets_of(stimulus)[target]]
        assert row[2].split(", ") == columns
        types = [session_type for session_type, shown in STIMULI.items() if stimulus in shown]
        assert row[7] == ("both" if len(types) == 2 else types[0])
        if row[3].isdigit():
            assert float(row[6]) == pytest.approx(100 / int(row[3]), rel=0.1)


def test_slow_drift_alone_does_not_decode_the_second_of_a_movie() -> None:
    n_segments, n_repeats, n_units = 30, 20, 40
    target = np.tile(np.arange(n_segments), n_repeats)
    accuracies = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        drift = np.empty((len(target), n_units))
        drift[0] = rng.normal(size=n_units)
        for row in range(1, len(target)):  # time constant of 30 s
            drift[row] = 0.967 * drift[row - 1] + np.sqrt(1 - 0.967**2) * rng.normal(size=n_units)
        counts = rng.poisson(3 * np.exp(0.5 * drift)).astype(np.uint8)[:, None]
        blocks = np.repeat([0, 1], len(target) // 2)
        folds = BlockKFold(5, gap=10).split(counts, target, blocks)
        decoder = registry.make("lda")
        accuracies += [np.mean(decoder.fit(counts[a], target[a]).predict(counts[b]) == target[b]) for a, b in folds]
    chance, n_trials = 1 / n_segments, 8 * len(target)
    assert np.mean(accuracies) < chance + SURE * np.sqrt(chance * (1 - chance) / n_trials)
