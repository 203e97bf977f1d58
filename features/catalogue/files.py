"""The catalogue's files: ours, and a company's overlay merged into them."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.catalogue.findings import Problems
from features.errors import near_miss

LANGUAGES = ("en", "zh")
SIGNALS, FACTORS, CONTEXT, PLAYBOOK = "signals.toml", "factors.toml", "context.toml", "playbook.toml"
TABLES = "tables.toml"  # a company's own tables; ours stand in the contract of the sources
WORDING = {language: f"wording/{language}.toml" for language in LANGUAGES}
FILES = (SIGNALS, FACTORS, CONTEXT, PLAYBOOK, *WORDING.values())  # ours
OVERLAID = (*FILES, TABLES)  # those that an overlay may hold
OURS = Path(__file__).parent
_FLAT = (FACTORS, CONTEXT, TABLES)  # their entries stand at the top, not in a table of their own

# What the entries of a table are called in messages, by file and table.
_ENTRIES = {
    (SIGNALS, "signals"): "signal",
    **{(file, "signals"): "signal" for file in (PLAYBOOK, *WORDING.values())},
    **{(file, "factors"): "factor" for file in (PLAYBOOK, *WORDING.values())},
    **{(file, "plays"): "play" for file in (PLAYBOOK, *WORDING.values())},
    **{(file, "opportunities"): "opportunity" for file in (PLAYBOOK, *WORDING.values())},
    **{(file, "context"): "context" for file in WORDING.values()},
}
# Keys of which an entry has one: the overlay's replaces ours.
_EITHER = ({"edges", "counts"}, {"of", "measure"})

Raw = dict[str, Any]


@dataclass
class Files:
    """What all files say together, as plain tables.

    Attributes
    ----------
    tables
        For each of :data:`OVERLAID`, its content with the overlay merged in.
    overlay
        The overlay's own content, to tell whose entry it is that a message is about.
    folder
        The overlay's folder.
    """

    tables: dict[str, Raw]
    overlay: dict[str, Raw] = field(default_factory=dict)
    folder: Path | None = None

    def where(self, file: str, keys: Sequence[str] = ()) -> str:
        """Name a place: ``signals.toml, signal "usage_trend", measure.of``.

        The overlay's files are named with their folder.
        """
        keys = list(keys)
        name = str(self.folder / file) if self.folder and self._said_by_overlay(file, keys) else file
        if file in _FLAT and keys:
            entry, rest = f', {file.removesuffix("s.toml").removesuffix(".toml")} "{keys[0]}"', keys[1:]
        elif len(keys) > 1 and (file, keys[0]) in _ENTRIES:
            entry, rest = f', {_ENTRIES[file, keys[0]]} "{keys[1]}"', keys[2:]
        else:
            entry, rest = "", keys
        return name + entry + (f", {'.'.join(rest).replace('.entry', ' entry')}" if rest else "")

    def _said_by_overlay(self, file: str, keys: Sequence[str]) -> bool:
        said: Any = self.overlay.get(file)
        entry = 1 if file in _FLAT else 2
        for key in keys[:entry]:
            said = said.get(key) if isinstance(said, Mapping) else None
        return said is not None


def read_files(overlay: Path | None, problems: Problems) -> Files:
    """Return our files with the overlay merged in; what cannot be read is noted in `problems`."""
    files = Files({**{file: our_file(file) for file in FILES}, TABLES: {}}, folder=overlay)
    if overlay is None:
        return files
    if not overlay.is_dir():
        problems.add(f"{overlay}: no such folder. An overlay is a folder with any of {', '.join(OVERLAID)}.")
        return files
    for path in sorted(overlay.rglob("*.toml")):
        file = path.relative_to(overlay).as_posix()
        if file not in OVERLAID:
            problems.add(f"{path}: not a file of the catalogue. {near_miss(file, OVERLAID)}")
        elif (said := _read(path, problems)) is not None:
            files.overlay[file] = said
            files.tables[file] = merge(files.tables[file], said)
    return files


@functools.cache
def our_file(file: str) -> Raw:
    """Return the content of one of our own files; not to be changed by the caller."""
    return tomllib.loads((OURS / file).read_text("utf-8"))


def _read(path: Path, problems: Problems) -> Raw | None:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        problems.add(f"{path}: broken TOML: {error}.")
    except UnicodeDecodeError as error:
        problems.add(f"{path}: not UTF-8 text: byte {error.start}. Save the file as UTF-8.")
    except OSError as error:
        problems.add(f"{path}: cannot be read: {error.strerror}.")
    return None


def merge(ours: Raw, theirs: Raw) -> Raw:
    """Return `ours` with `theirs` merged in, key by key; a list replaces, and so does a measure of another kind.

    Examples
    --------
    >>> merge({"a": {"x": 1, "y": [1]}, "b": 2}, {"a": {"y": [2]}, "c": 3})
    {'a': {'x': 1, 'y': [2]}, 'b': 2, 'c': 3}
    >>> merge({"weight": 1, "counts": {"not_so_healthy": 1}}, {"edges": {"healthy": 1, "unhealthy": 3}})
    {'weight': 1, 'edges': {'healthy': 1, 'unhealthy': 3}}
    """
    merged = dict(ours)
    for key, value in theirs.items():
        for alternatives in _EITHER:
            if key in alternatives:
                for other in alternatives - {key} - set(theirs):
                    merged.pop(other, None)
        before = merged.get(key)
        if isinstance(before, dict) and isinstance(value, dict) and not _another_kind(key, before, value):
            merged[key] = merge(before, value)
        else:
            merged[key] = value
    return merged


def _another_kind(key: str, ours: Raw, theirs: Raw) -> bool:
    return key == "measure" and "kind" in theirs and theirs["kind"] != ours.get("kind")
