"""A column's texts as codes: each text has one, whatever it is delivered as and whenever it is met."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.sources import dictionaries
from features.sources.dictionaries import REFUSED, Dictionary, TooManyTextsError

Text = str | None
FORBIDDEN = "robot"


def stripped(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read texts without spaces around them, blank ones as nothing; one is not allowed."""
    read = [text.strip(" ") or None for text in texts.to_pylist()]
    return pa.array(read, pa.string()), pa.array([text != FORBIDDEN for text in read])


def column(*pieces: Sequence[Text]) -> pa.ChunkedArray:
    """A column of several pieces, each with a dictionary of its own."""
    kind = pa.dictionary(pa.int32(), pa.string())
    return pa.chunked_array([pa.array(piece, pa.string()).dictionary_encode() for piece in pieces], kind)


def codes(dictionary: Dictionary, *pieces: Sequence[Text]) -> list[int | None]:
    found: list[int | None] = dictionary.codes_of(column(*pieces)).to_pylist()
    return found


def test_texts_have_codes_in_the_order_in_which_they_are_met() -> None:
    dictionary = Dictionary(stripped)
    assert codes(dictionary, ["b", "a", "b", None]) == [0, 1, 0, None]
    assert dictionary.values == ("b", "a")


def test_codes_stay_as_they_are_when_more_is_met() -> None:
    dictionary = Dictionary(stripped)
    assert codes(dictionary, ["b", "a"]) == [0, 1]
    assert codes(dictionary, ["c", "a"], ["a", "d", "b"]) == [2, 1, 1, 3, 0]
    assert codes(dictionary, [" b ", "", "  ", "d "]) == [0, None, None, 3]
    assert codes(dictionary, ["e", "b", " b "]) == [4, 0, 0]
    assert dictionary.values == ("b", "a", "c", "d", "e")


def test_texts_that_are_read_alike_have_one_code() -> None:
    dictionary = Dictionary(stripped)
    assert codes(dictionary, [" a", "a ", "a", " a"]) == [0, 0, 0, 0]
    assert dictionary.values == ("a",)


def test_a_text_that_is_not_allowed_is_refused_however_it_is_written() -> None:
    dictionary = Dictionary(stripped)
    assert codes(dictionary, ["a", "robot", " robot"], ["robot "]) == [0, REFUSED, REFUSED, REFUSED]
    assert codes(dictionary, ["robot", "b"])[0] == REFUSED
    assert dictionary.code("b") == dictionary.values.index("b")


def test_texts_at_hand_have_the_first_codes() -> None:
    dictionary = Dictionary(stripped, pa.array(["person"]))
    assert codes(dictionary, ["machine", "person", " person"]) == [1, 0, 0]
    assert dictionary.values == ("person", "machine")


def test_a_closed_dictionary_gives_no_other_text_a_code() -> None:
    dictionary = Dictionary(stripped, pa.array(["a1", "a2"]), closed=True)
    assert codes(dictionary, ["a2", "nobody", " a1 ", None, ""]) == [1, None, 0, None, None]
    assert codes(dictionary, ["nobody", "a1"]) == [None, 0]
    assert dictionary.values == ("a1", "a2")


def test_what_no_row_says_has_no_code() -> None:
    dictionary = Dictionary(stripped)
    codes(dictionary, ["a", " "])
    assert (dictionary.code("a"), dictionary.code("b"), dictionary.code("")) == (0, None, None)


@pytest.mark.parametrize("pieces", [[], [[]], [[], []], [[None]], [[], ["a"], []]], ids=str)
def test_pieces_without_texts(pieces: list[list[Text]]) -> None:
    rows = [text for piece in pieces for text in piece]
    assert codes(Dictionary(stripped), *pieces) == [None if text is None else 0 for text in rows]


def test_each_text_is_read_once() -> None:
    read: list[str] = []

    def noting(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
        read.extend(texts.to_pylist())
        return stripped(texts)

    dictionary = Dictionary(noting)
    codes(dictionary, ["a", " b", "a"], [" b", "c"])
    codes(dictionary, ["a", " b", "d", "robot"])
    codes(dictionary, ["robot", "c", "d"])
    assert sorted(read) == [" b", "a", "c", "d", "robot"]


def test_more_texts_than_are_worth_it_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionaries, "MOST_TEXTS", 3)
    dictionary = Dictionary(stripped)
    assert codes(dictionary, ["a", "b", "c"]) == [0, 1, 2]
    with pytest.raises(TooManyTextsError):
        codes(dictionary, ["a", "d"])


def test_bytes_that_are_no_text_are_told() -> None:
    bytes_ = pa.array([b"a", b"\xff"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, bytes_.buffers())
    with pytest.raises(pa.ArrowInvalid, match="UTF8"):
        Dictionary(stripped).codes_of(pa.chunked_array([text.dictionary_encode()]))


texts = st.sampled_from(
    ["a", "b", "c", " a", "b ", " c ", "", "  ", "robot", " robot", "\u00e9", "e\u0301", "\0", None]
)
columns = st.lists(st.lists(st.lists(texts, max_size=6), max_size=3), max_size=5)


class Slow:
    """The same, a text at a time, in a plain dictionary."""

    def __init__(self, first: Sequence[str], *, closed: bool) -> None:
        self.codes = {text: place for place, text in enumerate(first)}
        self.closed = closed

    def code(self, text: Text) -> Text | int:
        """What a row is told by: the text itself, refused, or nothing; codes of a closed one."""
        read = (text or "").strip(" ") or None
        if read is None or (self.closed and read not in self.codes and read != FORBIDDEN):
            return None
        return REFUSED if read == FORBIDDEN else read


@given(columns, st.sampled_from([None, [], ["b"], ["z", "a"]]), st.booleans())
def test_codes_stand_for_the_texts_that_a_plain_dictionary_has(
    met: list[list[list[Text]]], first: list[str] | None, closed: bool
) -> None:
    at_hand = None if first is None else pa.array(first, pa.string())
    dictionary, slow = Dictionary(stripped, at_hand, closed=closed), Slow(first or [], closed=closed)
    given_before: list[tuple[Text, int | None]] = []
    for pieces in met:
        rows = [text for piece in pieces for text in piece]
        given_before += zip(rows, codes(dictionary, *pieces), strict=True)
    values = dictionary.values
    assert len(set(values)) == len(values)
    assert list(values[: len(first or [])]) == (first or [])
    assert pc.all(pc.is_valid(dictionary.texts)).as_py() is not False
    for text, code in given_before:
        assert (code if code is None or code == REFUSED else values[code]) == slow.code(text)
    for place, value in enumerate(values):
        assert dictionary.code(value) == place
