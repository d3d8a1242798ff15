"""Every code block of README.md and docs/*.md: known, parsed, and run unless a table says why not."""

import contextlib
import os
import re
import shlex
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import yaml
from not_run import NOT_RUN, SMALLER, SUBMISSION, reason, smaller
from page_blocks import COMMANDS, NOT_CODE, SHELL, Block, blocks_in, blocks_of, inline_commands, pages, simple_commands
from page_folder import PUBLIC, SESSIONS, link_inputs, run_command, write_inputs, write_wrapper

from spikesight.cli import app

QUICK_PAGES = ("README.md", "binning_and_latency.md", "connectivity.md", "export.md", "own_nwb.md",
               "plug_in_decoder.md", "public_data.md")  # fmt: skip
"""Pages whose blocks of Python are run in `make test`: those that need nothing that a command wrote."""
RUNNABLE = ("python", *SHELL)

PAGES = {page.name: page for page in pages()}
BLOCKS = [block for page in PAGES.values() for block in blocks_of(page)]


def usage_error(words: list[str]) -> str:
    """Parse a command of spikesight as the program would; return what it would complain of."""
    from typer.main import get_command

    group: Any = get_command(app)
    name, rest = "spikesight", list(words)
    while hasattr(group, "commands"):
        while rest and rest[0] in ("--debug",):
            rest = rest[1:]
        if not rest or rest[0] in ("--help", "--version"):
            return ""
        if rest[0] not in group.commands:
            return f"no command {name} {rest[0]}"
        group, name, rest = group.commands[rest[0]], f"{name} {rest[0]}", rest[1:]
    try:
        group.make_context(name, rest)
    except SystemExit:
        return ""
    except Exception as error:
        if type(error).__name__ == "Exit":
            return ""
        return str(error) or type(error).__name__
    return ""


def run_python(text: str, where: str, namespace: dict[str, Any]) -> None:
    exec(compile(text, where, "exec"), namespace)


@contextlib.contextmanager
def page_module(name: str) -> Iterator[dict[str, Any]]:
    """A module to run the blocks of a page in, so that classes in it can be found by their path."""
    module = types.ModuleType(re.sub(r"\W", "_", f"page {name}"))
    sys.modules[module.__name__] = module
    try:
        yield module.__dict__
    finally:
        del sys.modules[module.__name__]


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    return folder


@pytest.fixture
def page_folder(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "page"
    folder.mkdir()
    link_inputs(inputs, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SPIKESIGHT_CACHE", str(tmp_path / "cache"))
    with mpl.rc_context({"backend": "agg"}):
        yield folder
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture
def public_sessions(inputs: Path, s3: Any, dandi: Any) -> None:
    """Servers on this machine stand for the bucket and for DANDI; a request to any other fails."""
    for session_id, seed in PUBLIC.items():
        data = (inputs / SESSIONS[seed]).read_bytes()
        s3.put(s3.session_key(session_id), data)
        dandi.add_session(session_id, seed, data)


@pytest.fixture
def decoders_as_before() -> Iterator[None]:
    """Take out decoders that a page registered."""
    from spikesight.decoders import registry

    before = dict(registry._DECODERS)
    yield
    registry._DECODERS.clear()
    registry._DECODERS.update(before)


def test_every_page_of_the_site_has_its_blocks_marked_with_a_language():
    bare = [
        block.where for block in BLOCKS if block.page != "README.md" and block.language not in (*RUNNABLE, *NOT_CODE)
    ]
    assert bare == []
    for name, page in PAGES.items():
        if name != "README.md":
            lines = page.read_text(encoding="utf-8").splitlines()
            fences = [number for number, line in enumerate(lines, 1) if line.startswith("```")]
            assert [f"{name}:{number}" for number in fences[::2] if lines[number - 1] == "```"] == []


def test_yaml_and_toml_can_be_read():
    for block in BLOCKS:
        if block.language == "yaml":
            assert yaml.safe_load(block.text), block.where
        if block.language == "toml":
            assert tomllib.loads(block.text), block.where


def test_every_command_of_spikesight_on_the_pages_exists_with_its_options():
    wrong = []
    for block in BLOCKS:
        for line in block.commands() if block.is_shell else []:
            for words in simple_commands(line):
                if words[0] == "spikesight":
                    error = usage_error(words[1:])
                    wrong += [f"{block.where} {line}: {error}"] if error else []
    assert wrong == []


def test_every_command_within_sentences_exists_with_its_options():
    wrong = []
    for name, page in PAGES.items():
        for code in inline_commands(page.read_text(encoding="utf-8")):
            words = [word for word in shlex.split(code)[1:] if word != "..."]
            error = usage_error(words)
            if error and not re.search("[Mm]issing|requires an argument|NAME|not a valid", error):
                wrong.append(f"{name} `{code}`: {error}")
    assert wrong == []


def test_a_command_or_an_option_that_does_not_exist_is_found():
    assert "no command" in usage_error(["benchmrk", "session.nwb"])
    assert "--nope" in usage_error(["benchmark", "session.nwb", "--nope"])
    assert usage_error(["connectivity", "fit", "session.nwb", "--method", "granger"]) == ""


def test_every_command_is_run_or_has_a_reason():
    unknown = []
    for block in BLOCKS:
        for line in block.commands() if block.is_shell and not block.not_run else []:
            if not reason(line) and line.split()[0] not in COMMANDS:
                unknown.append(f"{block.where} {line}")
    assert unknown == []


def test_every_reason_for_not_running_is_still_needed():
    lines = [line for block in BLOCKS if block.is_shell for line in block.commands()]
    assert [pattern for pattern in NOT_RUN if not any(re.search(pattern, line) for line in lines)] == []


def test_what_is_made_smaller_stays_the_same_command():
    asked = shlex.split("tune session.nwb --decoder mlp --candidates 50 --budget 30m")
    assert smaller(asked)[:4] == asked[:4]
    assert [smaller(asked)[smaller(asked).index(option) + 1] for option in ("--candidates", "--budget")] == [
        SMALLER["--candidates"],
        SMALLER["--budget"],
    ]
    assert smaller(["fetch", "--all", "natural_scenes"]) == ["fetch", "715093703", "719161530"]


def test_a_block_that_is_broken_fails(tmp_path: Path):
    page = "text\n\n```python\nimport spikesight as ss\n\nss.no_such_name\n```\n"
    (block,) = blocks_in(page, "page.md")
    with page_module("broken") as namespace, pytest.raises(AttributeError, match="no_such_name"):
        run_python(block.text, block.where, namespace)
    done = run_command("spikesight decoders no-such-decoder", tmp_path, write_wrapper(tmp_path / "bin"), {})
    assert done.returncode == 1
    assert "no-such-decoder" in done.stderr


def test_blocks_comments_and_continuations_are_read_as_a_reader_reads_them():
    marked = '<!-- not run: why -->\n```bash\na --b "x # y" \\\n  --c   # note\n\n# only a comment\nd && e\n```\n'
    page = marked + "\n```\nmake demo\n```\n"
    first, second = blocks_in(page, "page.md")
    assert first == Block("page.md", 2, "bash", first.text, "why")
    assert first.commands() == ['a --b "x # y"    --c', "d && e"]
    assert simple_commands("a 'b c' && d > e") == [["a", "b c"], ["d"], ["e"]]
    assert (second.language, second.commands()) == ("bash", ["make demo"])


@pytest.mark.parametrize("name", QUICK_PAGES)
def test_blocks_of_python_run(name: str, page_folder: Path, request: pytest.FixtureRequest, decoders_as_before: None):
    if name == "public_data.md":
        request.getfixturevalue("public_sessions")
    ran = 0
    with page_module(name) as namespace:
        for block in blocks_of(PAGES[name]):
            if block.language == "python" and not block.not_run:
                run_python(block.text, block.where, namespace)
                ran += 1
    assert ran > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in PAGES if any(b.page == name and b.language in RUNNABLE for b in BLOCKS)]
)
def test_whole_page_runs(name: str, page_folder: Path, public_sessions: None, tmp_path: Path, decoders_as_before: None):
    bin_folder = write_wrapper(tmp_path / "bin")
    environment = {"RAY_AUTH_MODE": os.environ["RAY_AUTH_MODE"], "no_proxy": "127.0.0.1,localhost", "MPLBACKEND": "agg"}
    with page_module(name) as namespace:
        for block in blocks_of(PAGES[name]):
            commands = [block.first] if block.first else []
            if block.is_shell and not block.not_run:
                commands += [line for line in block.commands()]
            for line in commands:
                runs = line.split(SUBMISSION)[0]
                if reason(runs):
                    continue
                done = run_command(runs, page_folder, bin_folder, environment)
                assert done.returncode == 0, f"{block.where} {runs}\n{done.stderr[-3000:]}\n{done.stdout[-1000:]}"
            if block.language == "python" and not block.not_run:
                run_python(block.text, block.where, namespace)
