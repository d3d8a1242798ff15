"""The fenced code blocks of README.md and docs/*.md, and the single commands in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELL = ("bash", "console")
NOT_CODE = ("text", "toml", "yaml")
"""Languages that are shown and not run; ``toml`` and ``yaml`` are parsed."""
COMMANDS = ("spikesight", "make", "source", "pip", "wandb", "python")
"""What a block without a language begins with, if it is one of commands."""
FENCE = re.compile(r"^(`{3,}|:{3,})\s*(\S*)")
MARKER = re.compile(r"<!-- (not run|first): (.+?) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes
    ----------
    page
        ``README.md`` or the name of a page of docs/.
    line
        Line of its fence, from 1.
    language
        As written; ``bash`` for commands without one, ``text`` for what else has none.
    text
        What stands between the fences.
    not_run
        The reason that a comment above it gives; empty where it is run.
    first
        A command that such a comment asks for before it; empty without.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str = ""
    first: str = ""

    @property
    def where(self) -> str:
        """Where a reader finds it."""
        return f"{self.page}:{self.line}"

    @property
    def is_shell(self) -> bool:
        """Whether it holds commands."""
        return self.language in SHELL

    def commands(self) -> list[str]:
        """Give its commands, one a line, continuations joined, comments left out."""
        lines = self.text.replace("\\\n", " ").splitlines()
        plain = [_without_comment(line.removeprefix("$ ")) for line in lines]
        return [line for line in plain if line]


def pages() -> list[Path]:
    """List README.md and the pages of docs/, not those that are made when the site is built."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """Read the blocks of a page."""
    return blocks_in(page.read_text(encoding="utf-8"), page.name)


def blocks_in(text: str, page: str) -> list[Block]:
    """Find the blocks of a text in Markdown; directives (fences of colons) are none."""
    found: list[Block] = []
    marks: dict[str, str] = {}
    fence, language, begun, body = "", "", 0, []
    for number, line in enumerate(text.splitlines(), 1):
        opening = FENCE.match(line)
        if fence:
            if opening and line.strip() == fence:
                if fence.startswith("`") and not language.startswith("{"):
                    own = {"not_run": marks.get("not run", ""), "first": marks.get("first", "")}
                    found.append(Block(page, begun, _language(language, body), "\n".join(body), **own))
                fence, body, marks = "", [], {}
            else:
                body.append(line)
        elif opening:
            fence, language, begun = opening[1], opening[2], number
        elif line.strip():
            mark = MARKER.fullmatch(line.strip())
            marks = {**marks, mark[1]: mark[2]} if mark else {}
    return found


def simple_commands(line: str) -> list[list[str]]:
    """Split a line of shell into its commands, each a list of words; redirections are left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("();<>|&"):
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def inline_commands(text: str) -> list[str]:
    """Find the commands of spikesight that stand within the sentences of a page."""
    prose = re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(code.split()) for code in re.findall(r"`(spikesight [a-z][^`]*)`", prose)]


def _language(language: str, body: list[str]) -> str:
    if language:
        return language
    first = next((line.split()[0] for line in body if line.strip()), "")
    return "bash" if first in COMMANDS or first.startswith("(") else "text"


def _without_comment(line: str) -> str:
    """Cut off a comment: a hash at the beginning of a word that is in no quotes."""
    quote = ""
    for at, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and (at == 0 or line[at - 1].isspace()):
            return line[:at].strip()
    return line.strip()
