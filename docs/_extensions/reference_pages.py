"""Sphinx extension: reference pages that are made of the code, so that they cannot say anything else.

Before Sphinx looks for pages, the command line's, the config's and the lists of names are written into ``generated/``
(which is not kept), and the notebooks are copied into ``examples/``.
"""

import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from inspect import cleandoc, getdoc
from pathlib import Path
from typing import Any

GENERATED = "generated"
NOTEBOOKS = "examples"
RICH_MARKUP = re.compile(r"\[/?[a-z ]+\](?!\()")


def write_pages(source: Path) -> list[Path]:
    """Write all generated pages below ``source``, leaving alone what did not change; return their paths."""
    texts = {
        f"{GENERATED}/cli.md": cli_page(),
        f"{GENERATED}/config.md": config_page(),
        f"{GENERATED}/api.rst": api_page(),
        f"{GENERATED}/decoders.rst": decoders_page(),
        f"{GENERATED}/estimators.rst": estimators_page(),
        f"{GENERATED}/figures.rst": figures_page(),
    }
    for name, text in texts.items():
        path = source / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return [source / name for name in texts]


def copy_notebooks(source: Path) -> None:
    """Copy the repository's notebooks beside the pages, as Sphinx reads nothing outside of its own folder."""
    folder = source / NOTEBOOKS
    folder.mkdir(exist_ok=True)
    for notebook in sorted((source.parent / "examples").glob("*.ipynb")):
        copy = folder / notebook.name
        if not copy.exists() or copy.read_bytes() != notebook.read_bytes():
            shutil.copyfile(notebook, copy)


def cli_page() -> str:
    """Describe every command: its usage, what it does, its arguments and options."""
    from typer.main import get_command

    from spikesight.cli import app

    parts = [
        "# The command line",
        "Made of the program itself. `spikesight COMMAND --help` prints the same. Exit codes: 0 all went well, 1 an "
        "error (one line on stderr) or some fits failed, 2 wrong usage, 130 stopped by Ctrl-C. `spikesight --debug "
        "COMMAND` shows the traceback of an error.",
    ]
    for path, command in commands(get_command(app)):
        context = command.make_context(path, [], resilient_parsing=True)
        usage = command.get_usage(context).removeprefix("Usage: ")
        parts += [f"## {path}", cleandoc(command.help or ""), f"```text\n{usage}\n```"]
        parts += [_parameter(one, context) for one in command.params if one.name != "help"]
    return "\n\n".join(parts) + "\n"


def commands(group: Any, path: str = "spikesight") -> Iterator[tuple[str, Any]]:
    """Walk through a group of commands, by name, each with the words that call it."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _parameter(parameter: Any, context: Any) -> str:
    """Write an argument or option as a term and what it means."""
    term, meaning = parameter.get_help_record(context)
    plain = RICH_MARKUP.sub("", " ".join(meaning.split())) or "-"
    return f"`{' '.join(term.split())}`\n: {_as_markdown(plain)}"


def _as_markdown(text: str) -> str:
    """Keep Markdown from reading anything into a plain sentence, but for what stands in back-ticks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_\[\]<>{}$])", r"\\\1", part) for part in parts)


def config_page() -> str:
    """Describe every key of the files that ``--config`` reads."""
    from spikesight.config import OPTIONS, BenchmarkConfig, DetrendConfig, UnitsConfig
    from spikesight.tuning_config import TuningConfig

    parts = [
        "# Options of a benchmark",
        "Made of the models themselves. `spikesight benchmark --config FILE.yaml` reads such keys; an option of the "
        "command line wins over the file, and `--set KEY=VALUE` over both (`--set units.quality=null`). A key that is "
        "unknown is refused with the nearest name. The resolved options of a run are in its `config.yaml`.",
        _table(BenchmarkConfig, "", OPTIONS),
    ]
    nested = {"units": UnitsConfig, "detrend": DetrendConfig, "tuning": TuningConfig}
    for key, model in nested.items():
        about = cleandoc(model.__doc__ or "").split("\n\n")[0]
        parts += [f"## `{key}`", about, _table(model, f"{key}.", OPTIONS)]
    return "\n\n".join(parts) + "\n"


def _table(model: Any, prefix: str, options: Mapping[str, str]) -> str:
    meanings = attributes_of(getdoc(model) or "")
    widths = "16 12 20 52" if meanings else "40 20 40"
    rows = [":::{list-table}", ":header-rows: 1", f":widths: {widths}", ""]
    rows += _row("key", "command line", "default", *(["meaning"] if meanings else []))
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"`{_written(field.get_default(call_default_factory=True))}`"
        option = options.get(f"{prefix}{name}", "")
        cells = [f"`{prefix}{name}`", f"`{option}`" if option else "`--set`", default]
        rows += _row(*cells, *([meanings.get(name, "")] if meanings else []))
    return "\n".join([*rows, ":::"])


def _row(*cells: str) -> list[str]:
    return [f"{'* -' if at == 0 else '  -'} {cell}" for at, cell in enumerate(cells)]


def _written(value: Any) -> str:
    """Write a default as YAML has it."""
    import yaml

    plain = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    plain = list(plain) if isinstance(plain, tuple) else plain
    text = yaml.safe_dump(plain, default_flow_style=True, width=10_000).strip()
    return text.removesuffix("...").strip()


def attributes_of(docstring: str) -> dict[str, str]:
    """Read what a numpydoc docstring says of attributes; names that share a text get it each."""
    found: dict[str, str] = {}
    section = re.split(r"\nAttributes\n-+\n", docstring)
    if len(section) == 1:
        return found
    for names, text in re.findall(r"^(\w[\w, ]*)\n((?: {4}.*\n?|\n(?= {4}))+)", section[1], re.MULTILINE):
        meaning = " ".join(textwrap.dedent(text).split()).replace("``", "`")
        found |= {name.strip(): _as_markdown(meaning) for name in names.split(",")}
    return found


def _listing(title: str, text: str, groups: Mapping[str, Iterable[str]]) -> str:
    """Write a page of tables of names, each of which leads to a page of its own."""
    parts = [f"{title}\n{'=' * len(title)}", text]
    for heading, names in groups.items():
        listed = "\n".join(f"   {name}" for name in names)
        parts += [f"{heading}\n{'-' * len(heading)}"] if heading else []
        parts += [f".. autosummary::\n   :toctree: objects\n   :nosignatures:\n\n{listed}"]
    return "\n\n".join(parts) + "\n"


API = {
    "Sessions": ("sessions", "fetch_session", "read_session", "Session", "UnitFilters", "simulate_session",
                 "write_session"),
    "Trials and counts": ("select_trials", "Trials", "bin_spikes", "bin_periods", "add_context", "to_arrays",
                          "read_counts", "write_counts"),
    "Evaluation": ("evaluate", "Benchmark", "BlockKFold", "RepeatKFold", "LastBlock", "Detrending"),
    "Searches": ("tune", "TuningConfig", "Range", "Choice"),
    "Runs": ("load_config", "BenchmarkConfig", "run_benchmark", "read_run", "write_report", "RunDirectory"),
    "Errors": ("SpikesightError",),
}  # fmt: skip
"""Public names by what they are for; what is public and not named here stands under "More"."""


def api_page() -> str:
    """List every public name."""
    import spikesight

    named = {name for names in API.values() for name in names}
    groups = {heading: [f"spikesight.{name}" for name in names] for heading, names in API.items()}
    more = [name for name in spikesight.__all__ if name not in named]
    if more:
        groups["More"] = [f"spikesight.{name}" for name in more]
    text = (
        "What ``import spikesight`` offers. Decoders, estimators of connectivity and figures have pages of their own."
    )
    return _listing("Python", text, groups)


REGISTRY = ("names", "make", "spec", "register", "DecoderSpec")


def decoders_page() -> str:
    """List the registered decoders' classes, and what their registry offers."""
    from spikesight.decoders import registry

    classes = dict.fromkeys(registry.spec(name).path.replace(":", ".") for name in registry.names())
    groups = {
        "The registry": [f"spikesight.decoders.{name}" for name in REGISTRY],
        "Classes": list(classes),
        "Parts of graph decoders": [
            "spikesight.decoders.spatiotemporal.SpatiotemporalDecoder",
            *(f"spikesight.networks.graphs.{name}"
              for name in ("IdentityGraph", "GivenGraph", "CorrelationGraph", "LearnedGraph", "as_graph")),
        ],
        "Storing": [f"spikesight.decoders.storage.{name}" for name in ("save_decoder", "load_decoder")],
    }  # fmt: skip
    return _listing("Decoders in Python", "What each is and when it helps: :doc:`/decoders`.", groups)


def estimators_page() -> str:
    """List the registered estimators of connectivity."""
    from spikesight.connectivity import registry

    found = [registry.spec(name).path.replace(":", ".") for name in registry.names()]
    offered = [f"spikesight.connectivity.registry.{name}" for name in ("names", "make", "spec", "register")]
    groups = {"The registry": offered, "Classes": [*found, "spikesight.connectivity.base.ConnectivityEstimator"]}
    return _listing("Estimators of connectivity in Python", "How to choose one: :doc:`/connectivity`.", groups)


def figures_page() -> str:
    """List every figure."""
    from spikesight import figures

    named = [f"spikesight.figures.{name}" for name in sorted(figures.__all__)]
    return _listing("Figures in Python", "Each as drawn: :doc:`/gallery/index`.", {"": named})


FOREIGN = re.compile(r"set_\w+_request|get_metadata_routing|model_\w+")
"""Methods that scikit-learn and pydantic add to every class of theirs."""


def skip_foreign(app: Any, kind: str, name: str, *_: Any) -> bool | None:
    """Leave out what a class has from elsewhere."""
    return True if FOREIGN.fullmatch(name) else None


def setup(app: Any) -> dict[str, Any]:
    """Write the pages before Sphinx looks for any."""
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("config-inited", lambda app, _: (write_pages(Path(app.srcdir)), copy_notebooks(Path(app.srcdir))))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
