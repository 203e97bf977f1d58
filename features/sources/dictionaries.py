"""Texts as codes: each text that a column has once, and its place among them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

REFUSED = -1  # the code of a text that the contract does not allow
DEFAULT = 0  # the code of a column's default, which its dictionary has at hand
MOST_TEXTS = 2**20  # in a column: more take longer to look up than they are worth

ReadTexts = Callable[[pa.Array], tuple[pa.Array, pa.Array]]


class TooManyTextsError(Exception):
    """A column has more than :data:`MOST_TEXTS` texts."""


class Dictionary:
    """The texts of a column: those at hand first, then in the order in which they were met.

    Parameters
    ----------
    read
        Reads texts as they are delivered: gives what each is read as (null: nothing), and whether that is allowed.
    texts
        Those that have codes before any is met, each once.
    closed
        Whether no other has a code: it is then null.
    """

    def __init__(self, read: ReadTexts, texts: pa.Array | None = None, *, closed: bool = False) -> None:
        self.texts: pa.Array = pa.nulls(0, pa.string()) if texts is None else texts
        self._read, self._closed = read, closed
        self._met: pa.Array = pa.nulls(0, pa.string())  # as delivered
        self._codes: pa.Array = pa.nulls(0, pa.int32())  # of those
        self._texts_as_met = texts is None and not closed  # as nearly always: then none of them is looked up again

    @cached_property
    def values(self) -> tuple[str, ...]:
        """The texts, once all were met."""
        return tuple(self.texts.to_pylist())

    @cached_property
    def _place(self) -> dict[str, int]:
        return {text: place for place, text in enumerate(self.values)}

    def code(self, text: str) -> int | None:
        """Return the code of a text, if it has one, once all were met."""
        return self._place.get(text)

    def codes_of(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a column of dictionaries of texts as codes: shape (n,), int32.

        Null where nothing is said, or nothing that a closed dictionary has; REFUSED where it is not allowed.

        Raises
        ------
        TooManyTextsError
            There are too many different ones.
        pyarrow.ArrowInvalid
            A text is none: its bytes are not UTF-8.
        """
        if not column.num_chunks:
            return pa.chunked_array([], pa.int32())
        column = column.unify_dictionaries()
        of_text = self._codes_of(column.chunk(0).dictionary.cast(pa.string()))
        return pa.chunked_array([of_text.take(chunk.indices) for chunk in column.chunks])

    def _codes_of(self, delivered: pa.Array) -> pa.Array:
        """Return the codes of texts, each of which stands here once."""
        place = pc.index_in(delivered, value_set=self._met)
        if place.null_count:
            unmet = pc.is_null(place)
            met = len(self._met)
            self._meet(delivered.filter(unmet))
            places = np.array(place.fill_null(0))
            places[np.asarray(unmet)] = np.arange(met, len(self._met))
            place = pa.array(places)
        return self._codes.take(place)

    def _meet(self, delivered: pa.Array) -> None:
        delivered.validate(full=True)
        texts, allowed = self._read(delivered)
        if self._texts_as_met and texts.equals(delivered) and pc.all(allowed).as_py():
            codes = pa.array(np.arange(len(self.texts), len(self.texts) + len(texts), dtype=np.int32))
            self.texts = pa.concat_arrays([self.texts, texts])
        else:
            codes = self._codes_of_texts(texts, allowed)
        self._met = pa.concat_arrays([self._met, delivered])
        self._codes = pa.concat_arrays([self._codes, codes])
        if len(self._met) > MOST_TEXTS:
            raise TooManyTextsError

    def _codes_of_texts(self, texts: pa.Array, allowed: pa.Array) -> pa.Array:
        """Return the codes of texts as read, which may be known already, be nothing, or not be allowed."""
        self._texts_as_met = False
        if not self._closed:
            unknown = pc.and_(pc.is_valid(texts), pc.is_null(pc.index_in(texts, value_set=self.texts)))
            self.texts = pa.concat_arrays([self.texts, texts.filter(unknown).unique()])
        return pc.if_else(allowed, pc.index_in(texts, value_set=self.texts), pa.scalar(REFUSED, pa.int32()))
