"""The catalogue: what Keepsight knows how to see, how it reads it, and how it says it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from features.catalogue.loading import Catalogue, load_catalogue

__all__ = ["Catalogue", "load_catalogue"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: typing every entry takes 80 ms, which `keepsight catalogue show` of our own, tested
    # catalogue does not need.
    if name in __all__:
        from features.catalogue import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
