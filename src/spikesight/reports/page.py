"""What all pages share: one file that opens from disk, needs no network, and lets no file's text run."""

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

import spikesight
from spikesight.errors import RunDirectoryError


def render_page(
    template: str,
    script: str | Sequence[str],
    data: object,
    filters: Mapping[str, Callable[..., object]],
    *,
    plotly: bool = True,
    also_allowed: str = "",
    **values: object,
) -> str:
    """Return a page as HTML.

    Parameters
    ----------
    template, script
        Names of the page's template and of its own script, or scripts in their order.
    data
        What the script draws, JSON-able.
    filters
        Filters of the template.
    plotly
        Whether Plotly comes before the scripts.
    also_allowed
        What the page may do beyond running its own scripts, as directives of a content security policy.
    values
        Values of the template. It also gets ``policy``, ``style``, ``scripts``, ``data`` and ``version``.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("spikesight", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    own = [script] if isinstance(script, str) else script
    scripts = [*([_plotly()] if plotly else []), *map(_packaged, own)]
    return environment.get_template(template).render(
        policy=_content_policy(scripts) + (f"; {also_allowed}" if also_allowed else ""),
        style=Markup(_packaged("report.css")),
        scripts=[Markup(text) for text in scripts],
        data=embedded_json(data),
        version=spikesight.__version__,
        **values,
    )


def embedded_json(value: object) -> Markup:
    r"""Write JSON that may stand inside a ``<script>``: no ``<``, ``>`` or ``&`` is left as it is.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON does not have.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def write_whole(path: Path, text: str) -> None:
    """Write under a temporary name beside ``path``, then rename.

    Raises
    ------
    RunDirectoryError
        If it cannot be written.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise RunDirectoryError(
            f"cannot write the report {path}: {error.strerror or error}. Choose another file with --out."
        ) from error


def picture(file: Path) -> str:
    """Return a PNG as an address that a page can hold."""
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"


def _content_policy(scripts: list[str]) -> str:
    """Allow the page's own scripts by their hash and nothing else: no network, no inline handler."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("\r\n", "\n")


def _packaged(name: str) -> str:
    return (resources.files("spikesight") / "templates" / name).read_text(encoding="utf-8")
