"""The state of a fine-tuning run on disk: never half written, and only for the run it is of."""

from __future__ import annotations

import csv
import hashlib
import pickle
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from napari_sam2.training.files import write_whole
from napari_sam2.training.trainer import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_sam2.training.annotated import AnnotatedStack
    from napari_sam2.training.finetune_options import FineTuneOptions

#: Options that may change while a run is stopped: they do not change what is learnt.
FREE = ("folder", "device", "minutes", "save_every", "overwrite", "recompute", "patience", "name")


class RunState:
    """Reads and writes the state of a run.

    Parameters
    ----------
    folder : Path
        Made when something is written.
    settings : mapping
        See `describe`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._settings = dict(settings)
        self.path, self._log = folder / "finetune.pt", folder / "log.csv"

    def read(self) -> dict[str, Any] | None:
        """Give the last state; None if there is none.

        Raises
        ------
        TrainingError
            If it cannot be read, or is of a run with other settings.
        """
        if not self.path.is_file():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            begun = state["settings"]
        except (pickle.UnpicklingError, EOFError, RuntimeError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{self.path} cannot be read as the state of a run; is it complete? Move it away "
                f"to begin anew ({error})."
            ) from error
        changed = [key for key in self._settings if self._settings[key] != begun.get(key)]
        if changed:
            raise TrainingError(
                f"{self.path} is of a run with other {_listed(changed)}. Give this run a folder "
                "of its own, or the settings and data that it was begun with; or remove the file "
                "to begin anew."
            )
        known: dict[str, Any] = state
        return known

    def write(self, state: Mapping[str, Any]) -> str:
        """Write a state; the last one stays where that fails.

        Returns
        -------
        str
            What went wrong; empty as a rule.
        """
        whole = {**state, "settings": self._settings}
        try:
            write_whole(self.path, lambda partial: torch.save(whole, partial))
        except OSError as error:
            kept = (
                "the last one is kept" if self.path.is_file() else "make room to be able to go on"
            )
            return f"The state of the run could not be saved ({error}); {kept}."
        return ""

    def log(self, row: Mapping[str, Any]) -> None:
        """Add a line to the log, a CSV; that it cannot be written stops nothing."""
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            fresh = not self._log.is_file()
            with self._log.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if fresh:
                    writer.writerow(row)
                writer.writerow(row.values())
        except OSError:
            return

    def clear(self) -> None:
        """Take the state away: the run is finished."""
        self.path.unlink(missing_ok=True)


def describe(stacks: Sequence[AnnotatedStack], options: FineTuneOptions) -> dict[str, Any]:
    """Tell a run from others: what it learns from, and how."""
    settings = {key: value for key, value in asdict(options).items() if key not in FREE}
    # As text: states are read as data, and paths are no data.
    settings |= {"model": str(options.model), "checkpoint": str(options.checkpoint or "")}
    return {**settings, "data": [_summary(one) for one in stacks]}


def _summary(stack: AnnotatedStack) -> dict[str, Any]:
    digest = hashlib.sha256()
    for frame, objects in stack.objects.items():
        digest.update(stack.codes(frame).tobytes())
        digest.update(repr((frame, sorted(objects))).encode())
    ids = {identity for objects in stack.objects.values() for identity in objects}
    return {
        "name": stack.name,
        "shape": list(stack.source.label_shape),
        "dtype": str(stack.source.data.dtype),
        "annotated frames": len(stack.frames),
        "objects": len(ids),
        "outlines": sum(map(len, stack.objects.values())),
        "unlabelled": stack.rule.unlabelled,
        "labels": digest.hexdigest()[:16],
    }


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
