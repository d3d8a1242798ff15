import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from lab_counts import write_lab_counts
from spikesight.config import BenchmarkConfig
from spikesight.decoders import registry
from spikesight.decoders.registry import DecoderSpec
from spikesight.demo import save_simulation
from spikesight.errors import (
    ConfigError,
    FileFormatError,
    NoUnitsError,
    RunDirectoryError,
    StimulusNotFoundError,
    UnknownNameError,
)
from spikesight.evaluation.sources import load_source
from spikesight.experiment import run_benchmark
from spikesight.records.run_record import read_run
from spikesight.records.session_overview import panels_file
from spikesight.reports.text import methods

QUICK = {"decoders": ("fa-lda",), "selection": ("default",), "n_splits": 3, "gap": 2, "jobs": 1}


class Heard:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[tuple[str, int, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, task: str, done: int, total: int) -> None:
        self.steps.append((task, done, total))


@pytest.fixture(scope="module")
def session_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny simulated session, its truth beside it."""
    file = tmp_path_factory.mktemp("session") / "tiny.nwb"
    save_simulation("tiny", 0, file)
    return file


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    return write_lab_counts(tmp_path / "lab.npz")


def test_a_benchmark_of_counts_leaves_a_whole_run_directory(counts: Path, tmp_path: Path) -> None:
    heard = Heard()
    run = run_benchmark(BenchmarkConfig(sources=(counts,), out=tmp_path / "run", **QUICK), heard)
    names = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert {"config.yaml", "provenance.json", "results.parquet", "predictions.parquet", "sessions.json"} <= names
    assert {"report.html", "log.jsonl", "parts"} <= names
    assert heard.steps[0] == ("reading sessions", 1, 1)
    assert heard.steps[-1] == ("decoding", 6, 6)
    assert any("MB of memory" in note for note in heard.notes)
    record = read_run(run)
    assert set(record.per_session["decoder"]) == {"chance", "fa-lda"}
    assert (record.per_session["n_trials"] == 120).all()


def test_the_resolved_config_is_saved_and_leads_to_the_same_run(counts: Path, tmp_path: Path) -> None:
    from spikesight.config import load_config

    run = run_benchmark(BenchmarkConfig(sources=(counts,), out=tmp_path / "run", **QUICK))
    saved = load_config(run / "config.yaml")
    assert saved.sources == (counts.resolve(),)
    heard = Heard()
    assert run_benchmark(saved, heard) == run
    assert heard.notes[0].startswith("resuming")
    assert "6 finished fits" in heard.notes[0]


def test_a_run_stopped_after_its_input_was_replaced_shows_no_mix_of_both(counts: Path, tmp_path: Path) -> None:
    class StopsAt(Heard):
        def advance(self, task: str, done: int, total: int) -> None:
            if task == "decoding" and done == 2:
                raise KeyboardInterrupt

    config = BenchmarkConfig(sources=(counts,), out=tmp_path / "run", **QUICK)
    run = run_benchmark(config)
    write_lab_counts(counts, n_units=9, seed=1)
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(config, StopsAt())
    with pytest.raises(RunDirectoryError, match="the benchmark was stopped"):
        read_run(run)
    assert not (run / "report.html").exists()
    record = read_run(run_benchmark(config))
    assert set(record.results["n_units"]) == {record.cards[0]["n_units"]} == {9}
    assert (run / "report.html").exists()


def test_decoders_on_other_terms_than_the_rest_are_named(counts: Path, tmp_path: Path) -> None:
    path = "spikesight.decoders.bayes:PoissonBayes"
    for name, alphas in (("bayes-none", ()), ("bayes-2", (1, 10))):
        candidates = tuple({"alpha": alpha} for alpha in alphas) or ({},)
        registry.register(name, DecoderSpec(path, "as poisson-bayes", candidates))
    heard = Heard()
    options = {**QUICK, "decoders": ("poisson-bayes", "bayes-none", "bayes-2"), "selection": ("tuned", "default")}
    try:
        run = run_benchmark(BenchmarkConfig(sources=(counts,), out=tmp_path / "run", **options), heard)
    finally:
        registry.unregister("bayes-none")
        registry.unregister("bayes-2")
    assert heard.notes[:2] == [
        "bayes-none has no constants to choose: it gets a default row, no tuned one",
        "unequal terms: bayes-2 chooses among 2 candidates, built-in decoders among 5",
    ]
    record = read_run(run)
    assert "each decoder from 5 candidates (but bayes-2 from 2)." in " ".join(methods(record))
    results = record.results.drop_duplicates(["decoder", "selection"])
    assert {(row.decoder, row.selection, row.n_candidates) for row in results.itertuples()} == {
        ("chance", "reference", 1), ("bayes-none", "default", 1),
        ("poisson-bayes", "tuned", 5), ("poisson-bayes", "default", 1),
        ("bayes-2", "tuned", 2), ("bayes-2", "default", 1),
    }  # fmt: skip


def test_a_run_directory_of_another_config_is_refused(counts: Path, tmp_path: Path) -> None:
    config = BenchmarkConfig(sources=(counts,), out=tmp_path / "run", **QUICK)
    run_benchmark(config)
    with pytest.raises(RunDirectoryError, match="gap is 2 there and 3 here"):
        run_benchmark(config.model_copy(update={"gap": 3}))


def test_panels_of_counts_are_left_out_with_the_reason(counts: Path, tmp_path: Path) -> None:
    run = run_benchmark(BenchmarkConfig(sources=(counts,), out=tmp_path / "run", **QUICK))
    [card] = json.loads((run / "sessions.json").read_text())
    assert card["panels_left_out"] == dict.fromkeys(("raster", "rates"), "the file holds spike counts, not spike times")
    assert not (run / "panels").exists()
    assert (card["n_trials"], card["n_units"], card["n_classes"]) == (120, 12, 4)


def test_a_session_with_spike_times_gets_a_raster_and_rates(session_file: Path, tmp_path: Path) -> None:
    run = run_benchmark(BenchmarkConfig(sources=(session_file,), out=tmp_path / "run", **QUICK))
    [card] = json.loads((run / "sessions.json").read_text())
    panels = json.loads((run / panels_file(card["session_id"])).read_text())
    assert card["panels_left_out"] == {}
    assert sum(card["units_per_area"].values()) == card["n_units"]
    assert card["blanks"] == "kept"
    assert [shown["label"] for shown in panels["raster"]["classes"]] == sorted(
        (shown["label"] for shown in panels["raster"]["classes"]), key=int
    )
    assert "-1" not in {shown["label"] for shown in panels["raster"]["classes"]}
    for area in panels["rates"]["areas"]:
        assert len(area["mean"]) == len(panels["rates"]["time"])
        assert (np.array(area["low"]) <= area["mean"]).all()
        assert (np.array(area["mean"]) <= area["high"]).all()


def test_the_raster_holds_exactly_the_spikes_around_its_presentations(session_file: Path, tmp_path: Path) -> None:
    from spikesight.records.session_overview import raster_excerpt

    loaded = load_source(session_file, BenchmarkConfig(sources=(session_file,)))
    assert loaded.trials is not None
    raster = raster_excerpt(loaded.trials)
    shown = raster["classes"][0]
    table = loaded.trials.table
    own = table[table["target"].astype(str) == shown["label"]].iloc[0]
    for row, (unit, *_) in enumerate(raster["units"]):
        spikes = loaded.trials.session.spike_times[unit] - own["start_time"]
        inside = spikes[(spikes >= raster["window"][0]) & (spikes < raster["window"][1])]
        drawn = [
            time for at, time in zip(shown["trials"][0]["row"], shown["trials"][0]["time"], strict=True) if at == row
        ]
        np.testing.assert_allclose(drawn, inside * 1000, atol=0.051)


def test_the_rate_of_an_area_is_that_of_a_brute_force_count(session_file: Path) -> None:
    from spikesight.records.session_overview import area_rates

    loaded = load_source(session_file, BenchmarkConfig(sources=(session_file,)))
    assert loaded.trials is not None
    rates = area_rates(loaded.trials)
    first = rates["areas"][0]
    units = loaded.trials.session.units
    starts = loaded.trials.table["start_time"].to_numpy()
    left = rates["time"][3] / 1000 - 0.005
    counted = [
        np.sum((spikes >= start + left) & (spikes < start + left + 0.01))
        for unit in units.index[units["area"] == first["area"]]
        for spikes in [loaded.trials.session.spike_times[unit]]
        for start in starts
    ]
    assert first["mean"][3] == pytest.approx(np.mean(counted) / 0.01, abs=0.15)


def test_an_area_that_a_session_lacks_is_noted(counts: Path, tmp_path: Path) -> None:
    heard = Heard()
    run_benchmark(BenchmarkConfig(sources=(counts,), areas=("VISp", "CA1"), out=tmp_path / "run", **QUICK), heard)
    assert "session lab has no unit in CA1" in heard.notes


def test_areas_keep_units_and_say_how_many_were_dropped(session_file: Path) -> None:
    config = BenchmarkConfig(sources=(session_file,), areas=("VISp",))
    dataset = load_source(session_file, config).dataset
    assert set(dataset["area"].to_numpy()) == {"VISp"}
    assert json.loads(dataset.attrs["dropped_units"])["areas"] > 0
    assert json.loads(dataset.attrs["unit_filters"])["areas"] == ["VISp"]
    with pytest.raises(NoUnitsError, match=r"lies in Nowhere; its areas are: .*VISp"):
        load_source(session_file, config.model_copy(update={"areas": ("Nowhere",)}))


def test_quality_filters_can_be_switched_off(session_file: Path) -> None:
    config = BenchmarkConfig(sources=(session_file,))
    kept = load_source(session_file, config).dataset.sizes["unit"]
    every = load_source(session_file, config.model_copy(update={"quality": False})).dataset.sizes["unit"]
    assert every > kept


def test_bins_come_from_the_config(session_file: Path) -> None:
    config = BenchmarkConfig(sources=(session_file,), bin_size=0.05, window=(0.0, 0.25))
    assert load_source(session_file, config).dataset.sizes["time"] == 5
    assert load_source(session_file, BenchmarkConfig(sources=(session_file,), n_bins=2)).dataset.sizes["time"] == 2


@pytest.mark.parametrize(
    ("option", "name"), [({"n_bins": 2}, "n_bins"), ({"blanks": "drop"}, "blanks"), ({"stimulus": "flashes"}, None)]
)
def test_options_that_counts_cannot_honour_are_refused(counts: Path, option: dict[str, object], name: str) -> None:
    config = BenchmarkConfig.model_validate({"sources": (counts,), **option})
    if name is None:
        with pytest.raises(StimulusNotFoundError, match="no trials of 'flashes'"):
            load_source(write_lab_counts(counts.with_name("gabors.npz"), gabors=True), config)
    else:
        with pytest.raises(ConfigError, match=f"{name} can only be chosen for spike times"):
            load_source(counts, config)


def test_an_unknown_decoder_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'fa-lda'"):
        run_benchmark(BenchmarkConfig(sources=(tmp_path / "no.nwb",), decoders=("fa-ldaa",), out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_missing_file_is_named_before_a_run_directory_is_made(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"no\.nwb"):
        run_benchmark(BenchmarkConfig(sources=(tmp_path / "no.nwb",), out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_the_same_session_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    sources = (write_lab_counts(tmp_path / "lab.npz"), write_lab_counts(tmp_path / "other" / "lab.npz"))
    with pytest.raises(ConfigError, match="expected each session once"):
        run_benchmark(BenchmarkConfig(sources=sources, out=tmp_path / "run", **QUICK))


def test_sessions_that_do_not_fit_into_memory_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = (write_lab_counts(tmp_path / "a.npz"), write_lab_counts(tmp_path / "b.npz", seed=1))
    whole = run_benchmark(BenchmarkConfig(sources=sources, out=tmp_path / "kept", **QUICK))
    monkeypatch.setattr("spikesight.experiment.KEPT_BYTES", 0)
    again = run_benchmark(BenchmarkConfig(sources=sources, out=tmp_path / "read", **QUICK))
    pd.testing.assert_frame_equal(read_run(whole).predictions, read_run(again).predictions)
    assert read_run(again).over_sessions is not None


def test_a_fit_that_fails_is_told_in_the_record_and_the_report(
    counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spikesight.decoders.fa_lda import FactorLDA

    def refuse(self: object, X: object, y: object) -> None:
        raise ValueError("out of luck")

    monkeypatch.setattr(FactorLDA, "fit", refuse)
    run = run_benchmark(BenchmarkConfig(sources=(counts,), out=tmp_path / "run", **QUICK))
    record = read_run(run)
    assert {failure["decoder"] for failure in record.failures} == {"fa-lda"}
    assert "out of luck" in (run / "report.html").read_text(encoding="utf-8")


def test_a_run_directory_that_cannot_be_written_is_refused(counts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="cannot write"):
        run_benchmark(BenchmarkConfig(sources=(counts,), out=tmp_path / "file" / "run", **QUICK))


def test_provenance_names_the_inputs_and_the_seed(counts: Path, tmp_path: Path) -> None:
    run = run_benchmark(BenchmarkConfig(sources=(counts,), out=tmp_path / "run", seed=3, **QUICK))
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["seed"] == 3
    assert provenance["inputs"][0]["path"] == str(counts.resolve())
    assert yaml.safe_load((run / "config.yaml").read_text())["seed"] == 3


def test_the_oracle_stands_beside_chance_where_the_truth_lies_beside_the_file(
    session_file: Path, tmp_path: Path
) -> None:
    run = run_benchmark(BenchmarkConfig(sources=(session_file,), out=tmp_path / "run", **QUICK))
    table = read_run(run).per_session.set_index("decoder")
    assert table.loc["oracle", "selection"] == table.loc["chance", "selection"] == "reference"
    assert table.loc["oracle", "accuracy"] > table.loc["chance", "accuracy"]


@pytest.mark.parametrize("option", [{"stimulus": "gabors"}, {"bin_size": 0.05, "window": (0.0, 0.25)}])
def test_where_the_oracle_knows_nothing_that_is_said(
    session_file: Path, tmp_path: Path, option: dict[str, object]
) -> None:
    heard = Heard()
    config = BenchmarkConfig.model_validate(
        {"sources": (session_file,), "out": tmp_path / "run", "decoders": ["chance"], "n_splits": 2, "gap": 0, **option}
    )
    run = run_benchmark(config, heard)
    assert any(note.startswith("no oracle for tiny.nwb") for note in heard.notes)
    assert set(read_run(run).per_session["decoder"]) == {"chance"}
