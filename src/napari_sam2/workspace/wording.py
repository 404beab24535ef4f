"""What was done, in words: the steps of a history."""

from __future__ import annotations

from napari_sam2.results.overlaps import Overlap

RULES = {
    Overlap.KEEP: "what is there stay",
    Overlap.HIGHEST: "the highest score win",
    Overlap.OVERWRITE: "the last overwrite",
}


def count(n: int, what: str) -> str:
    """Say how many: "1 frame", "2 frames"."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def prompting(before: int, after: int) -> str:
    """Say what is done as the number of prompts changes."""
    if not after:
        return "clear the prompts of"
    if after > before:
        return "prompt"
    return "take back a prompt of" if after < before else "change a prompt of"
