"""The report as files: ``report.html``, ``report.md`` and its pictures, from one document."""

from __future__ import annotations

import base64
import functools
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import jinja2

from training.plots import draw_plots
from training.report import Report
from training.report_text import Document, document

TEMPLATES = Path(__file__).with_name("templates")
# What Markdown would read as more than text; an underscore between letters is none.
_SPECIAL = re.compile(r"([\\`*\[\]<>|&]|^[#+-](?=\s)|(?<![^\W_])_|_(?![^\W_]))")


def report_files(report: Report) -> dict[str, bytes]:
    """Return the report's files by name; the same report gives the same bytes.

    The HTML holds its pictures and style and needs nothing beside it; the Markdown refers to the pictures
    beside it.
    """
    pictures, said = draw_plots(report), document(report)
    addresses = {name: _data_uri(picture) for name, picture in pictures.items()}
    return {
        "report.html": as_html(said, addresses).encode(),
        "report.md": as_markdown(said).encode(),
        **{f"{name}.png": picture for name, picture in pictures.items()},
    }


def write_files(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write files into `folder`, all or none, in the place of what was there; return `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        whole = Path(scratch) / folder.name
        whole.mkdir()
        for name, content in files.items():
            (whole / name).write_bytes(content)
        if folder.exists():
            shutil.rmtree(folder)
        return whole.replace(folder)


def as_markdown(said: Document) -> str:
    """Return a document as Markdown; texts from a company's own data stay texts."""
    text = _environment(escape=False).get_template("report.md").render(report=said)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def as_html(said: Document, pictures: dict[str, str]) -> str:
    """Return a document as a page; `pictures` gives each one's address by name."""
    return _environment(escape=True).get_template("report.html").render(report=said, pictures=pictures)


@functools.cache
def _environment(*, escape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "kind": lambda piece: type(piece).__name__,
        "prose": _prose,
    }
    return environment


def _prose(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _data_uri(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()
