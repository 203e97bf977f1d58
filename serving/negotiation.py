"""What the caller would rather have: which language, and JSON or a page."""

from __future__ import annotations

from collections.abc import Sequence

from features.errors import ReadingError, near_miss

DEFAULT_LANGUAGE = "en"


def preferences(header: str) -> list[tuple[str, float]]:
    """Return what an ``Accept…`` header asks for, best first; what cannot be read is left out.

    >>> preferences("en;q=0.5, zh-CN, de;q=0")
    [('zh-cn', 1.0), ('en', 0.5)]
    """
    found = []
    for part in header.split(",")[:50]:
        name, _, parameters = part.strip().lower().partition(";")
        quality = _quality(parameters)
        if name and quality > 0:
            found.append((name.strip(), quality))
    return sorted(found, key=lambda item: -item[1])


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def language(asked: str | None, header: str | None, available: Sequence[str]) -> str:
    """Return the language to answer in.

    Parameters
    ----------
    asked
        The ``lang`` query; it wins.
    header
        ``Accept-Language``; a region (``zh-CN``) falls back to its language.
    available
        Languages that the catalogue's wording has.

    Raises
    ------
    ReadingError
        `asked` is not available. (A header that asks for others gets the default instead.)

    Examples
    --------
    >>> language(None, "fr, zh-CN;q=0.8, en;q=0.5", ["en", "zh"])
    'zh'
    >>> language(None, "fr", ["en", "zh"])
    'en'
    >>> language("de", None, ["en", "zh"])
    Traceback (most recent call last):
    ...
    features.errors.ReadingError: lang: there is no wording in "de". Allowed: en, zh.
    """
    if asked is not None:
        if asked not in available:
            raise ReadingError(f'lang: there is no wording in "{asked[:20]}". {near_miss(asked, available)}')
        return asked
    for name, _ in preferences(header or ""):
        if name.partition("-")[0] in available:
            return name.partition("-")[0]
    return DEFAULT_LANGUAGE


def prefers_html(header: str | None) -> bool:
    """Tell whether a page is wanted rather than JSON; JSON unless a page is asked for first.

    >>> prefers_html("text/html,application/xhtml+xml,*/*;q=0.8"), prefers_html("*/*"), prefers_html(None)
    (True, False, False)
    >>> prefers_html("application/json, text/html;q=0.9")
    False
    """
    for name, _ in preferences(header or ""):
        if name in ("text/html", "application/xhtml+xml"):
            return True
        if name in ("application/json", "application/*", "*/*"):
            return False
    return False
