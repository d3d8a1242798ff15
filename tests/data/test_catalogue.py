"""The public sessions, as far as they are known without a network."""

import json
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from spikesight.cli import app
from spikesight.data import catalogue
from spikesight.data.cache import cache_folder
from spikesight.data.simulation import PRESETS
from spikesight.data.unit_filters import UnitFilters
from spikesight.errors import ConfigError, UnknownNameError


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No network, and an empty cache."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the catalogue asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("SPIKESIGHT_CACHE", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["sessions", *arguments])


def test_58_sessions_are_known_offline_of_which_32_showed_natural_scenes() -> None:
    table = catalogue.sessions()
    assert len(table) == 58
    assert table.index.name == "session_id"
    assert table.index.is_unique
    assert table.index.is_monotonic_increasing
    scenes = catalogue.sessions(stimulus="natural_scenes")
    assert len(scenes) == 32
    assert set(scenes["session_type"]) == {"brain_observatory_1.1"}
    assert scenes.attrs["source"] == catalogue.SHIPPED
    assert 715093703 in scenes.index
    others = catalogue.sessions(stimulus="dot_motion")
    assert len(others) == 26
    assert set(others["session_type"]) == {"functional_connectivity"}
    assert len(catalogue.sessions(stimulus="gabors")) == 58


def test_the_facts_are_those_of_the_units_on_record(recordings: Path) -> None:
    units = pd.read_parquet(recordings / "allen-npx-gabors" / "units_all_sessions.parquet")
    table = catalogue.sessions()
    assert list(table.index) == sorted(units["ecephys_session_id"].unique())
    filters = UnitFilters()
    for session_id, own in units.groupby("ecephys_session_id"):
        row = table.loc[session_id]
        for name in ("session_type", "sex", "age_in_days", "genotype", "date_of_acquisition"):
            assert {row[name]} == set(own[name])
        areas = own["ecephys_structure_acronym"]
        assert row["units_per_area"] == areas.value_counts().to_dict()
        kept, _ = filters.apply(own.assign(area=areas, valid_data=True))[:2]
        assert row["default_units_per_area"] == areas[areas.index.isin(kept.index)].value_counts().to_dict()


def test_the_catalogue_names_the_stimuli_that_simulated_sessions_of_the_same_type_have() -> None:
    shown: dict[str, set[str]] = {name: set() for name in catalogue.STIMULI}
    for preset in PRESETS.values():
        shown[preset.session_type] |= {block.stimulus for block in preset.schedule} - {"spontaneous"}
    assert shown == {name: set(stimuli) for name, stimuli in catalogue.STIMULI.items()}


def test_an_area_keeps_the_sessions_with_units_there() -> None:
    table = catalogue.sessions(stimulus="natural_scenes", area="VISp")
    assert 0 < len(table) < 58
    assert all(counts["VISp"] > 0 for counts in table["units_per_area"])
    left_out = catalogue.sessions().drop(catalogue.sessions(area="VISp").index)
    assert all("VISp" not in counts for counts in left_out["units_per_area"])


@pytest.mark.parametrize("asked", ["Sst", "sst-ires-cre", "Sst-IRES-Cre/wt;Ai32(RCL-ChR2(H134R)_EYFP)/wt"])
def test_a_line_an_allele_and_the_whole_genotype_mean_the_same_mice(asked: str) -> None:
    table = catalogue.sessions(genotype=asked)
    assert set(table["genotype"]) == {"Sst-IRES-Cre/wt;Ai32(RCL-ChR2(H134R)_EYFP)/wt"}


def test_wt_means_mice_with_no_other_allele() -> None:
    assert set(catalogue.sessions(genotype="wt")["genotype"]) == {"wt/wt"}
    lines = [len(catalogue.sessions(genotype=name)) for name in ("wt", "Sst", "Pvalb", "Vip")]
    assert sum(lines) == 58
    assert len(catalogue.sessions(genotype="Ai32")) == 58 - lines[0]


def test_filters_combine_to_an_empty_list_without_an_error() -> None:
    table = catalogue.sessions()
    found = [
        catalogue.sessions("natural_scenes", area, line)
        for area in ("VISp", "VISl", "VISpm")
        for line in ("wt", "Vip", "Sst")
    ]
    assert all(set(part.index) <= set(table.index) for part in found)
    assert list(found[0].columns) == list(table.columns)


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"stimulus": "natural_scene"}, UnknownNameError, "Did you mean 'natural_scenes'?"),
        ({"stimulus": "spontaneous"}, UnknownNameError, "unknown stimulus 'spontaneous'"),
        ({"genotype": "Sts"}, UnknownNameError, "Did you mean 'Sst'?"),
        ({"area": "VISpp"}, ConfigError, "Did you mean 'VISp'?"),
        ({"area": "LGd"}, ConfigError, "spikesight sessions --refresh"),
    ],
)
def test_an_unknown_name_offers_the_nearest(asked: dict[str, str], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        catalogue.sessions(**asked)
    assert said in str(caught.value)


def test_a_kept_list_that_is_damaged_is_told_of_and_not_used(offline: Path) -> None:
    kept = offline / catalogue.KEPT
    kept.parent.mkdir()
    for text in ("", "[]", '{"source": "x", "date": "y", "sessions": [{"session_id": 1}]}', "\x00"):
        kept.write_text(text)
        with pytest.warns(UserWarning, match="cannot be read"):
            assert len(catalogue.sessions()) == 58


def test_a_kept_list_answers_instead_of_the_shipped_one(offline: Path) -> None:
    records = catalogue.as_records(catalogue.sessions())
    records[0]["units_per_area"]["LGd"] = 7
    kept = offline / catalogue.KEPT
    kept.parent.mkdir()
    kept.write_text(json.dumps({"source": "https://example", "date": "2026-01-02", "sessions": records}))
    table = catalogue.sessions(area="LGd")
    assert list(table.index) == [records[0]["session_id"]]
    assert table.attrs["source"] == "https://example, read on 2026-01-02"
    with pytest.raises(UnknownNameError, match=r"Did you mean 'LGd'\?"):
        catalogue.sessions(area="LGdd")


def test_sessions_prints_a_list_of_objects() -> None:
    done = run("--stimulus", "natural_scenes", "--area", "VISp", "--genotype", "wt", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [session["session_id"] for session in found] == list(
        catalogue.sessions("natural_scenes", "VISp", "wt").index
    )
    assert set(found[0]) == {"session_id", "stimuli", *catalogue.COLUMNS}
    assert "natural_scenes" in found[0]["stimuli"]
    assert len(json.loads(run("--json").stdout)) == 58


def test_sessions_prints_a_line_for_each_session() -> None:
    done = run("--genotype", "vip")
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if "Vip-IRES-Cre" in line]
    assert len(lines) == len(catalogue.sessions(genotype="vip"))
    assert "VISp" in done.stdout


def test_sessions_refuses_an_unknown_name_in_one_line() -> None:
    done = run("--stimulus", "natural_scene")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: unknown stimulus")
    assert done.stderr.count("\n") == 1


def test_the_cache_folder_is_the_users_or_the_one_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SPIKESIGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_folder().name == "spikesight"
    assert np.all([not path.exists() for path in (tmp_path / "home",)])
