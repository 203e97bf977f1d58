"""Why readings are unknown, a byte each: as text they would take four times the room and more of the time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.readings import KNOWN_LETTER, UnknownReason

Letters = npt.NDArray[np.uint8]
KNOWN = np.uint8(ord(KNOWN_LETTER))
_LETTERS = {reason: np.uint8(ord(reason.letter)) for reason in UnknownReason}


def letter(reason: UnknownReason) -> np.uint8:
    """Return a reason's letter."""
    return _LETTERS[reason]


def as_text(letters: Letters) -> npt.NDArray[np.str_]:
    """Return letters as text, in the same shape.

    >>> as_text(np.array([[KNOWN, letter(UnknownReason.TOO_FEW)]]))
    array([['.', 'f']], dtype='<U1')
    """
    text: npt.NDArray[np.str_] = letters.astype("<u4", order="C").view("<U1")
    return text
