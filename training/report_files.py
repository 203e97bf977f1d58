"""The report as files: ``report.html``, ``report.md`` and its pictures, from one document."""

from __future__ import annotations

import base64
import functools
import re
import shutil
import tempfile
from pathlib import Path

import jinja2

from training.plots import draw_plots
from training.report import Report
from training.report_text import Document, document

TEMPLATES = Path(__file__).with_name("templates")
# What Markdown would read as more than text; an underscore inside a word is none.
_SPECIAL = re.compile(r"([\\`*\[\]<>|&]|^[#+-](?=\s)|(?<!\w)_|_(?!\w))")


def write_report(report: Report, folder: Path) -> Path:
    """Write the report into `folder`, which is made; return the path of ``report.html``.

    The HTML holds its pictures and style and needs nothing beside it; the Markdown refers to the pictures
    beside it. The same report gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {path.stem: _data_uri(path) for path in draw_plots(report, folder)}
    said, page = document(report), folder / "report.html"
    (folder / "report.md").write_text(as_markdown(said), encoding="utf-8")
    page.write_text(as_html(said, pictures), encoding="utf-8")
    return page


def keep_report(written: Path, folder: Path) -> Path:
    """Copy a written report to `folder`, whole or not at all, in the place of what was there; return `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    whole = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    shutil.copytree(written, whole, dirs_exist_ok=True)
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


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
