"""What a benchmark is asked to do: pure data, frozen, checked key by key."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from spikesight.errors import ConfigError, did_you_mean
from spikesight.places import FilePlace, resolved, stem_of
from spikesight.tuning_config import TuningConfig

DEFAULT_STIMULUS = "natural_scenes"
DEFAULT_DECODERS = ("chance", "logistic", "pca-logistic", "svc-linear", "ridge", "poisson-bayes", "lda", "fa-lda")

CONTEXTS = {"both": (1, 1), "previous": (1, 0), "next": (0, 1)}
"""Short names of which neighbours are context: presentations (before, after)."""
MOST_CONTEXT = 20

OPTIONS = {
    "sources": "FILE",
    "archive": "--source",
    "n_splits": "--folds",
    "n_bins": "--bins",
    "controls": "--control",
    "encoders": "--encoder",
    **{
        name: f"--{name.replace('_', '-')}"
        for name in (
            *("stimulus", "target", "blanks", "running", "bin_size", "window", "context", "detrend"),
            *("quality", "areas", "decoders", "selection"),
            *("splitter", "gap", "seed", "jobs", "ray", "time_limit", "save_decoders", "wandb", "out", "keep_files"),
        )
    },
    **{f"tuning.{name}": f"--{name}" for name in ("search", "candidates", "scheduler", "budget", "space")},
}
"""What the command line calls each key; the others are reached with ``--set``."""

TUNING = "tuning"
SEARCHED = "searched"
WandbName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^/\\#?%:\s]+$")]

_EXPECTED = {
    "literal_error": "{expected}",
    "greater_than_equal": "a number of at least {ge}",
    "greater_than": "a number above {gt}",
    "less_than_equal": "a number of at most {le}",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "string_pattern_mismatch": "a name without spaces and / \\ # ? % :",
    "string_too_short": "a name",
    "string_too_long": "a name of at most {max_length} characters",
    "tuple_type": "a list such as [a, b]",
    "too_long": "no more than {max_length} values",
    "model_type": "'key: value' lines",
}
"""What pydantic wanted, by the type of its complaint, in the words of who writes the option."""


class Frozen(BaseModel):
    """Pure data that cannot be changed; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class UnitsConfig(Frozen):
    """The quality filters of units; AllenSDK's defaults, each off with ``null`` or ``false``."""

    quality: str | None = "good"
    in_brain: bool = True
    valid_channel: bool = True
    amplitude_cutoff_maximum: float | None = Field(default=0.1, ge=0)
    presence_ratio_minimum: float | None = Field(default=0.95, ge=0, le=1)
    isi_violations_maximum: float | None = Field(default=0.5, ge=0)


class DetrendConfig(Frozen):
    """The running mean that is taken away: trials on either side, or only those before (``causal``)."""

    n_trials: int = Field(ge=1)
    causal: bool = False


class BenchmarkConfig(Frozen):
    """Everything that decides the numbers of a benchmark, and where it is written.

    Attributes
    ----------
    sources
        NWB files, or files of binned trials (``.npz``, ``.nc``), by their paths; ids of public sessions and addresses
        of NWB files, of which only what is needed is read. One session each.
    archive, keep_files
        Where public sessions are read; whether their whole files are fetched and kept.
    stimulus, target
        What was shown, and the column (or columns, or a name such as "direction" that stands for them) that is
        decoded; None takes the stimulus' default target.
        ``stimulus`` is not used for binned trials; None means natural scenes.
    blanks
        Keep blank presentations as one more class, or drop them.
    running
        Keep trials during which the mouse ran ("running"), or those during which it did not ("stationary").
    controls
        Rows that see what the mouse did and no spike: "running", "pupil", or "behaviour" (both).
    probe_invalid
        What an invalid time of one probe costs: the probe's units, or the trials.
    n_bins, bin_size, window
        Either ``n_bins`` over each presentation's own duration, or bins of ``bin_size`` seconds in ``window``
        (start, stop), seconds relative to ``start_time``; ``window`` alone is one bin. All None: one bin over each
        presentation; for single frames of a movie, from 30 to 130 ms after their start.
    context
        Presentations before and after each trial whose bins are put beside its own, (previous, next); also "both",
        "previous", "next" or "2,1". None: a trial's own bins.
    detrend
        Running mean of square-root counts that is taken away inside each fold: ``n_trials`` on either side, or with
        ``causal`` before each trial; also 200 or "200,causal". None: counts as they are.
    quality
        Apply the filters in ``units``; None applies them to NWB files and not to binned trials.
    units
        The quality filters.
    areas
        Keep units of these areas only.
    decoders, selection
        Registered names; "tuned" chooses each decoder's constants among a few candidates on training trials,
        "searched" searches them there, "default" leaves them.
    params
        Constants in place of a decoder's defaults, by decoder: what a search wrote into ``best.yaml``.
    encoders, encoder_params
        What stands in front of the decoders, in further rows: registered names, or paths of transformers
        ("sklearn.decomposition:FastICA"); constants in place of their defaults, by encoder.
    tuning
        How constants are searched; filled with defaults if "searched" is asked, else None.
    splitter, n_splits, gap
        How test trials are set aside; ``gap`` counts the trials left out on either side of a test run.
    seed, jobs
        Seed of everything random; processes at a time, None for one per core that may be used.
    ray
        Run on Ray: "local", or the address of a cluster ("auto", "host:port"). None: in processes of this machine.
    time_limit
        Minutes after which no further fit is begun; the same command goes on where it stopped. None: no limit.
    save_decoders
        Store every fitted decoder in the run directory.
    wandb, wandb_project, wandb_entity
        Weights & Biases: "off", "offline" (runs are written under the run directory) or "online" (and uploaded from
        there, if a key is set); where they belong. None as entity: that of the key.
    out
        The run directory.
    """

    sources: tuple[FilePlace, ...] = Field(min_length=1)
    archive: Literal["s3", "dandi"] = "s3"
    keep_files: bool = False
    stimulus: str | None = None
    target: str | tuple[str, ...] | None = None
    blanks: Literal["keep", "drop"] = "keep"
    running: Literal["stationary", "running", "all"] = "all"
    controls: tuple[Literal["behaviour", "running", "pupil"], ...] = ()
    probe_invalid: Literal["drop-units", "drop-trials"] = "drop-units"
    n_bins: int | None = Field(default=None, ge=1)
    bin_size: float | None = Field(default=None, gt=0)
    window: tuple[float, float] | None = None
    context: tuple[int, int] | None = None
    detrend: DetrendConfig | None = None
    quality: bool | None = None
    units: UnitsConfig = UnitsConfig()
    areas: tuple[str, ...] | None = None
    decoders: tuple[str, ...] = Field(default=DEFAULT_DECODERS, min_length=1)
    selection: tuple[Literal["searched", "tuned", "default"], ...] = Field(default=("tuned", "default"), min_length=1)
    params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    encoders: tuple[str, ...] = ()
    encoder_params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    tuning: TuningConfig | None = None
    splitter: Literal["block-kfold", "repeat-kfold", "last-block"] = "block-kfold"
    n_splits: int = Field(default=5, ge=2)
    gap: int = Field(default=10, ge=0)
    seed: int = Field(default=0, ge=0)
    jobs: int | None = Field(default=None, ge=1)
    ray: str | None = Field(default=None, min_length=1)
    time_limit: float | None = Field(default=None, gt=0)
    save_decoders: bool = False
    wandb: Literal["off", "offline", "online"] = "off"
    wandb_project: WandbName = "spikesight"
    wandb_entity: WandbName | None = None
    out: Path | None = None

    @field_validator("decoders", "selection", "sources", "controls", "encoders")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        repeated = sorted({str(value) for value in values if values.count(value) > 1})
        if repeated:
            raise ValueError(
                f"expected each entry once, got {', '.join(repeated)} several times; leave out the repeats"
            )
        return values

    @field_validator("wandb", mode="before")
    @classmethod
    def _off_is_no_truth_value(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML takes the word off for false

    @field_validator("context", mode="before")
    @classmethod
    def _named_context(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value in CONTEXTS:
            return CONTEXTS[value]
        parts = value.split(",")
        if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
            raise ValueError(f"expected {', '.join(CONTEXTS)} or two numbers such as 2,1, got {value!r}")
        return tuple(int(part) for part in parts)

    @field_validator("context")
    @classmethod
    def _some_context(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and (min(value) < 0 or not 0 < sum(value) <= MOST_CONTEXT):
            raise ValueError(f"expected 1 to {MOST_CONTEXT} neighbours in all, none below 0, got {value}")
        return value

    @field_validator("detrend", mode="before")
    @classmethod
    def _named_detrend(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"n_trials": value}
        if not isinstance(value, str):
            return value
        number, comma, word = (part.strip() for part in value.partition(","))
        if not number.isdecimal() or (comma and word != "causal"):
            raise ValueError(f"expected a number of trials, or one with ',causal' (200 or 200,causal), got {value!r}")
        return {"n_trials": int(number), "causal": bool(comma)}

    @model_validator(mode="before")
    @classmethod
    def _settings_of_searches(cls, values: Any) -> Any:
        """Write down what a search that was asked for does by default."""
        asked = isinstance(values, Mapping) and SEARCHED in (values.get("selection") or ())
        return {**values, TUNING: {}} if asked and values.get(TUNING) is None else values

    @model_validator(mode="after")
    def _known_decoders(self) -> "BenchmarkConfig":
        asked = {"params": self.params, "tuning.space": {} if self.tuning is None else self.tuning.space}
        rows = [(key, constants, "decoders", self.decoders) for key, constants in asked.items()]
        rows.append(("encoder_params", self.encoder_params, "encoders", self.encoders))
        for key, constants, kind, names in rows:
            unused = sorted(set(constants) - set(names))
            if unused:
                known = ", ".join(names) or "none"
                raise ValueError(f"expected {key} of {kind} that are asked for ({known}), got {unused[0]}")
        return self

    @model_validator(mode="after")
    def _one_way_to_bin(self) -> "BenchmarkConfig":
        if self.n_bins is not None and (self.bin_size is not None or self.window is not None):
            raise ValueError(
                "expected either n_bins (--bins), or window (--window), perhaps with bin_size (--bin-size); got both"
            )
        if self.bin_size is not None and self.window is None:
            raise ValueError("expected bin_size and window together; window (--window) is missing")
        if self.window is not None and self.window[0] >= self.window[1]:
            raise ValueError(f"expected window as (start, stop) with start < stop, got {self.window}")
        return self

    def run_directory(self) -> Path:
        """Give ``out``, or ``runs/<sources>-<stimulus>-<target>-<digest>``: the same question finds the same directory.

        The digest is of all options that may change a number, so that another question has another directory.
        """
        if self.out is not None:
            return self.out
        more = f"-and-{len(self.sources) - 1}-more" if len(self.sources) > 1 else ""
        target = "-".join((self.target,) if isinstance(self.target, str) else self.target or ())
        where = {"sources", "archive", "keep_files"}
        changes_nothing = {"jobs", "ray", "time_limit", "out", "wandb", "wandb_project", "wandb_entity"}
        asked = self.model_dump(mode="json", exclude=where | changes_nothing)
        places = [str(resolved(place)) for place in self.sources]
        digest = hashlib.sha256(json.dumps([places, asked], sort_keys=True).encode()).hexdigest()[:6]
        parts = [stem_of(self.sources[0]) + more, self.stimulus or "", target, digest]
        return Path("runs") / "-".join(part.replace("/", "_") for part in parts if part)

    def to_yaml(self) -> str:
        """Write every option out, in the form that ``load_config`` reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_config(
    path: Path | None = None, *, overrides: Mapping[str, object] | None = None, assignments: Iterable[str] = ()
) -> BenchmarkConfig:
    """Read a YAML file and lay options over it: first ``overrides``, then ``assignments``.

    Parameters
    ----------
    path
        A YAML file of options, or None to start from the defaults.
    overrides
        Options by name; None leaves the file's value.
    assignments
        ``"a.b=c"`` strings; the value is read as YAML, so ``null`` and ``[tuned]`` mean what they do in the file.

    Raises
    ------
    ConfigError
        Names each key that is unknown or has a wrong value, and says what was expected.
    """
    values = read_yaml(path) if path is not None else {}
    origin = str(path) if path is not None else "the options"
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    if TUNING in given:
        own, asked = values.get(TUNING), given[TUNING]
        given[TUNING] = {**own, **asked} if isinstance(own, dict) and isinstance(asked, dict) else asked or own
    values.update(given)
    for assignment in assignments:
        assign(values, assignment)
    try:
        return BenchmarkConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"in {origin}: {describe_problems(error.errors())}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of ``key: value`` lines. Raises ConfigError if it is none."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"expected a YAML file of options, {path} does not exist.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected a YAML file of options, {path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"expected YAML in {path}: {' '.join(str(error).split())}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"expected 'key: value' lines in {path}, got a {type(values).__name__}.")
    return values


def assign(values: dict[str, Any], assignment: str) -> None:
    """Put one ``a.b=c`` into the nested ``values``. Raises ConfigError if it is none."""
    name, equals, text = assignment.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"expected KEY=VALUE (for example units.quality=null), got {assignment!r}.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"expected a YAML value after '=', got {assignment!r}.") from error
    level = values
    for key in keys[:-1]:
        below = level.get(key)
        level[key] = dict(below) if isinstance(below, Mapping) else {}
        level = level[key]
    level[keys[-1]] = value


def describe_problems(problems: Iterable[ErrorDetails]) -> str:
    """Sentences about validation problems; one mistake is told once, though a union is tried in each of its forms."""
    told: dict[str, str] = {}
    for problem in problems:
        told.setdefault(_key(problem), _describe(problem))
    return " ".join(told.values())


def _key(problem: ErrorDetails) -> str:
    """Name the option; where in its list a value stands, or which form of a union refused it, is left out."""
    place = problem["loc"]
    return ".".join(str(part) for part in (place[:2] if place[:1] in (("units",), ("tuning",)) else place[:1]))


def _describe(problem: ErrorDetails) -> str:
    """One validation problem as ``key (--option): expected what, got what``."""
    key = _key(problem)
    if problem["type"] == "extra_forbidden":
        inner: dict[str, type[BaseModel]] = {"units": UnitsConfig, "tuning": TuningConfig}
        known = inner.get(key.partition(".")[0], BenchmarkConfig).model_fields
        hint = did_you_mean(str(problem["loc"][-1]), known) or f" Known are {', '.join(known)}."
        return f"{key}: unknown key.{hint}"
    named = f"{key} ({OPTIONS[key]})" if key in OPTIONS else key
    if problem["type"] == "value_error":
        message = problem["msg"].removeprefix("Value error, ").removesuffix(".")
        return f"{named}: {message}." if key else f"{message}."
    if problem["type"] in {"missing", "too_short"}:
        more = " `spikesight decoders` lists the names." if key == "decoders" else ""
        wanted = "two values, got fewer" if key in {"window", "context"} else "at least one, got none"
        return f"{named}: expected {wanted}.{more}"
    context = problem.get("ctx", {})
    known_type = problem["type"] in _EXPECTED
    wanted = _EXPECTED[problem["type"]].format(**context) if known_type else f"otherwise ({problem['msg']})"
    came = problem["input"]
    nearest = did_you_mean(str(came), re.findall("'([^']+)'", context.get("expected", "")))
    return f"{named}: expected {wanted}, got {came if isinstance(came, Path) else repr(came)}.{nearest}"
