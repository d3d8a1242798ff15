import re
from pathlib import Path

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesight.config import BenchmarkConfig, UnitsConfig, load_config
from spikesight.errors import ConfigError
from spikesight.places import holds_counts


def _written(folder: Path, text: str) -> Path:
    path = folder / "benchmark.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_load_config_reads_yaml_over_the_defaults(tmp_path: Path) -> None:
    config = load_config(_written(tmp_path, "sources: [a.nwb]\ndecoders: [lda, fa-lda]\nunits: {quality: null}\n"))
    assert config.sources == (Path("a.nwb"),)
    assert config.decoders == ("lda", "fa-lda")
    assert config.units == UnitsConfig(quality=None)
    assert config.splitter == "block-kfold"


def test_load_config_lays_overrides_over_the_file_and_assignments_over_both(tmp_path: Path) -> None:
    path = _written(tmp_path, "sources: [a.nwb]\nseed: 1\ngap: 1\nn_splits: 7\n")
    config = load_config(path, overrides={"seed": 2, "gap": 2, "blanks": None}, assignments=["seed=3"])
    assert (config.seed, config.gap, config.n_splits, config.blanks) == (3, 2, 7, "keep")


def test_an_assignment_reaches_a_nested_key_and_reads_its_value_as_yaml() -> None:
    config = load_config(
        overrides={"sources": ["a.nwb"]},
        assignments=["units.amplitude_cutoff_maximum=0.2", "units.quality=null", "selection=[tuned]"],
    )
    assert config.units == UnitsConfig(quality=None, amplitude_cutoff_maximum=0.2)
    assert config.selection == ("tuned",)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("sed=1", ["sed", "unknown key", "'seed'"]),
        ("units.qualty=good", ["units.qualty", "unknown key", "'quality'"]),
        ("seed=abc", ["seed (--seed): ", "a whole number", "'abc'"]),
        ("gap=-1", ["gap (--gap): ", "at least 0", "-1"]),
        ("n_splits=1", ["n_splits (--folds): expected a number of at least 2, got 1."]),
        ("blanks=maybe", ["blanks", "'keep' or 'drop'", "'maybe'"]),
        ("decoders=lda", ["decoders (--decoders)", "a list", "'lda'"]),
        ("decoders=[lda, lda]", ["decoders", "once", "lda"]),
        ("sources=[]", ["sources (FILE): expected at least one, got none."]),
        ("decoders=[]", ["decoders (--decoders): expected at least one, got none.", "`spikesight decoders`"]),
        ("selection=[tune]", ["'tuned' or 'default', got 'tune'. Did you mean 'tuned'?"]),
        ("splitter=blockkfold", ["splitter (--splitter): ", "Did you mean 'block-kfold'?"]),
        ("sources=[a.nwb, a.nwb]", ["expected each entry once, got a.nwb several times"]),
        ("window=[0.1]", ["window (--window): expected two values, got fewer."]),
        ("bin_size=0.01", ["bin_size and window together", "window (--window) is missing"]),
        ("window=[0.3, 0.1]", ["start < stop", "(0.3, 0.1)"]),
        ("context=left", ["context (--context): expected both, previous, next or two numbers such as 2,1, got 'left'"]),
        ("context=[1]", ["context (--context): expected two values, got fewer."]),
        ("context=[0, 0]", ["context (--context): expected 1 to 20 neighbours in all"]),
        ("context='-1,2'", ["context (--context): expected both"]),
        ("context=[30, 0]", ["expected 1 to 20"]),
        ("detrend=slow", ["detrend (--detrend): expected a number of trials", "'slow'"]),
        ("detrend=200,acausal", ["200 or 200,causal"]),
        ("detrend=0", ["detrend (--detrend): expected a number of at least 1, got 0."]),
        ("wandb=on", ["wandb (--wandb)", "'off', 'offline' or 'online'", "got True"]),
        ("wandb=sometimes", ["wandb (--wandb)", "got 'sometimes'"]),
        ("wandb_project=a/b", ["wandb_project: expected a name without spaces", "got 'a/b'"]),
        ("wandb_entity=''", ["wandb_entity: expected a name", "got ''"]),
        ("seed", ["KEY=VALUE", "'seed'"]),
        ("=1", ["KEY=VALUE"]),
        ("seed=[1", ["YAML value", "'seed=[1'"]),
    ],
)
def test_a_wrong_option_is_refused_with_its_key_and_what_was_expected(assignment: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides={"sources": ["a.nwb"]}, assignments=[assignment])
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not re.search(r"[?.;,][.;,]( |$)", str(caught.value))
    assert "PosixPath" not in str(caught.value)


def test_one_mistake_is_told_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides={"sources": ["a.nwb"], "selection": ["tune"]})
    assert str(caught.value).count("selection (--selection)") == 1


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    path = _written(tmp_path, "seed: 1\n")
    with pytest.raises(ConfigError, match=rf"in {path}: sources \(FILE\): expected at least one, got none"):
        load_config(path)


def test_every_wrong_key_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gpa: unknown key.*seeds: unknown key"):
        load_config(_written(tmp_path, "sources: [a.nwb]\ngpa: 1\nseeds: 2\n"))


def test_two_ways_to_bin_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"either n_bins \(--bins\), or window \(--window\)"):
        load_config(overrides={"sources": ["a.nwb"], "n_bins": 2, "bin_size": 0.01, "window": (0, 0.25)})


@pytest.mark.parametrize(
    ("written", "expected"),
    [("both", (1, 1)), ("previous", (1, 0)), ("next", (0, 1)), ("2, 1", (2, 1)), ([0, 3], (0, 3)), (None, None)],
)
def test_context_is_named_or_counted(written: object, expected: object) -> None:
    config = load_config(overrides={"sources": ["a.nwb"], "context": written})
    assert config.context == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (200, (200, False)),
        ("200", (200, False)),
        ("50, causal", (50, True)),
        ({"n_trials": 50, "causal": True}, (50, True)),
    ],
)
def test_detrending_is_a_number_of_trials_perhaps_only_those_before(
    written: object, expected: tuple[int, bool], tmp_path: Path
) -> None:
    config = load_config(overrides={"sources": ["a.nwb"], "detrend": written})
    assert config.detrend is not None
    assert (config.detrend.n_trials, config.detrend.causal) == expected
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "again.yaml") == config


def test_a_window_alone_is_one_bin() -> None:
    config = load_config(overrides={"sources": ["a.nwb"], "window": (0, 0.3)})
    assert (config.bin_size, config.window) == (None, (0.0, 0.3))


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ConfigError, match="start < stop"):
        load_config(overrides={"sources": ["a.nwb"], "bin_size": 0.01, "window": (0.25, 0.0)})


@pytest.mark.parametrize(
    ("text", "words"), [("[1, 2]", "'key: value'"), ("a: [1", "expected YAML"), ("seed: 1\n\tgap: 2", "expected YAML")]
)
def test_a_file_that_is_not_a_yaml_mapping_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(_written(tmp_path, text))


def test_a_file_that_does_not_exist_or_is_binary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "no.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(binary)


def test_a_config_is_frozen() -> None:
    config = BenchmarkConfig(sources=(Path("a.nwb"),))
    with pytest.raises(pydantic.ValidationError):
        config.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(("written", "expected"), [("off", "off"), ("offline", "offline"), ("'online'", "online")])
def test_wandb_is_off_though_yaml_takes_that_word_for_false(tmp_path: Path, written: str, expected: str) -> None:
    assert load_config(assignments=["sources=[a.nwb]", f"wandb={written}"]).wandb == expected
    (tmp_path / "run.yaml").write_text(f"sources: [a.nwb]\nwandb: {written}\n")
    assert load_config(tmp_path / "run.yaml").wandb == expected


def test_wandb_does_not_change_the_directory_of_a_run() -> None:
    plain = load_config(assignments=["sources=[a.nwb]"])
    more = ["wandb=online", "wandb_project=mine", "wandb_entity=lab"]
    assert load_config(assignments=["sources=[a.nwb]", *more]).run_directory() == plain.run_directory()


def test_the_directory_of_a_run_is_named_after_its_question() -> None:
    config = BenchmarkConfig(sources=(Path("x/a.nwb"), Path("b.nwb")), stimulus="gabors", target=("x", "y"))
    assert re.fullmatch(r"a-and-1-more-gabors-x-y-[0-9a-f]{6}", config.run_directory().name)
    for running in ({"jobs": 3}, {"ray": "local"}, {"time_limit": 5.0}):
        assert config.model_copy(update=running).run_directory() == config.run_directory()
    assert config.model_copy(update={"gap": 3}).run_directory() != config.run_directory()
    elsewhere = config.model_copy(update={"sources": (Path("y/a.nwb"), Path("b.nwb"))})
    assert elsewhere.run_directory() != config.run_directory()
    assert config.model_copy(update={"out": Path("here")}).run_directory() == Path("here")


@given(
    seed=st.integers(0, 2**40),
    gap=st.integers(0, 1000),
    sources=st.lists(st.from_regex(r"[a-zé0-9_ ]{1,12}\.nwb", fullmatch=True), min_size=1, max_size=4, unique=True),
    window=st.none() | st.tuples(st.floats(-1, 0), st.floats(0.1, 2)),
    quality=st.none() | st.booleans(),
)
def test_a_config_survives_being_written_and_read(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    gap: int,
    sources: list[str],
    window: tuple[float, float] | None,
    quality: bool | None,
) -> None:
    config = BenchmarkConfig.model_validate(
        {
            "sources": sources,
            "seed": seed,
            "gap": gap,
            "window": window,
            "bin_size": 0.01 if window else None,
            "quality": quality,
        }
    )
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    assert load_config(path) == config


def test_files_of_counts_are_told_by_their_suffix() -> None:
    assert [holds_counts(Path(name)) for name in ("a.npz", "a.NC", "a.nwb", "a.h5")] == [True, True, False, False]
