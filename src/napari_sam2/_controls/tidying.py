"""Python's garbage collection, where nobody waits for it."""

from __future__ import annotations

import gc
from functools import cache


@cache
def tidy_once() -> None:
    """Clear away what loading left behind, the first time that this is called.

    Torch, napari and what they need are close to a million objects. Python looks through all of
    them, for a quarter of a second in which no thread goes on, as soon as as many are new as a
    quarter of those that it looked through last: after so much was loaded that is in the midst of
    the first clicks. Where it is done at once, it is not due again for long.
    """
    gc.collect()
