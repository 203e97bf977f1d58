"""Filters of rows, put together."""

from __future__ import annotations

from features.catalogue.schema import Allowed, Between, Filter


def both_of(one: Filter, other: Filter) -> Filter | None:
    """Return the filter that matches what both match; None where nothing can.

    Examples
    --------
    >>> both_of({"kind": ("discount", "cancel")}, {"kind": ("cancel",), "reason": ("budget",)})
    {'kind': ('cancel',), 'reason': ('budget',)}
    >>> both_of({"rating": Between(at_most=3)}, {"rating": (2, 4)})
    {'rating': (2,)}
    >>> both_of({"kind": ("discount",)}, {"kind": ("cancel",)}) is None
    True
    """
    joined = {**one, **other}
    for column in one.keys() & other.keys():
        joined[column] = _both_allowed(one[column], other[column])
    return None if () in joined.values() else joined


def _both_allowed(one: Allowed, other: Allowed) -> Allowed:
    if isinstance(one, Between) and isinstance(other, Between):
        least = [edge for edge in (one.at_least, other.at_least) if edge is not None]
        most = [edge for edge in (one.at_most, other.at_most) if edge is not None]
        return Between(at_least=max(least, default=None), at_most=min(most, default=None))
    if isinstance(one, Between):
        one, other = other, one
    assert not isinstance(one, Between)  # one of them lists its values
    return tuple(value for value in one if _allows(other, value))


def _allows(allowed: Allowed, value: str | bool | int) -> bool:
    if not isinstance(allowed, Between):
        return value in allowed
    assert not isinstance(value, str)  # the catalogue's check: only numbers have ranges
    return (allowed.at_least is None or value >= allowed.at_least) and (
        allowed.at_most is None or value <= allowed.at_most
    )
