"""A session's way into a file, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_sam2.annotations import Annotations
from napari_sam2.results.label_arrays import refer_to
from napari_sam2.session_files.session_file import Origin, open_session, save_steps
from napari_sam2.settings import find_model, read_settings, record_model, record_settings

if TYPE_CHECKING:
    from collections.abc import Generator
    from os import PathLike
    from typing import Self

    from napari_sam2.predictors import SAM2
    from napari_sam2.predictors.frames import ArrayLike
    from napari_sam2.session_files.session_file import SavedSession
    from napari_sam2.settings import Settings

Keep = Literal["copy", "reference"]


class Persistent(Annotations):
    """What is saved and loaded; `Session` says how it is computed with."""

    model: SAM2
    settings: Settings
    origin = Origin()  #: where the data came from, for those who open the session later
    remark = ""  #: what is not as it was saved, for the user
    _asked: str | Path | SAM2  #: the model, as it was asked for

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        data: ArrayLike | Sequence[ArrayLike],
        model: str | Path | SAM2 | Sequence[str | Path | SAM2 | None] | None = None,
        *,
        settings: Settings | None = None,
        labels: Any = None,
        same_pixels: bool = True,
    ) -> Self:
        """Open a session that was saved, to go on with it.

        Objects, prompts, locks, labels and quality are as they were; prompts are answered
        anew before objects are followed from them, as after `release`.

        Parameters
        ----------
        path : str or PathLike
        data : array-like, or sequence of array-like
            The stack that the session was made from.
        model : str, Path or SAM2, or a sequence of them, optional
            The one it was saved with unless given; another one has weights of its own, unless
            the settings that are given say otherwise. Of several the first that is to be had is
            taken, where None stands for the one it was saved with; `remark` says which it was,
            and why not the first.
        settings : Settings, optional
            Those it was saved with unless given, on the fastest device of this computer.
        labels : array-like, optional
            Where to put the labels, as for a new session; what they hold is replaced. Unless
            given they are in memory, or in the file that was referred to.
        same_pixels : bool
            Whether to refuse a stack of the same shape with other pixels on a few frames.

        Raises
        ------
        SessionFileError
            If the file is missing, damaged, something else, of a newer version, or of
            another stack; the message says what to do.
        ValueError
            If its model is not there.
        """
        models = model if isinstance(model, Sequence) and not isinstance(model, str) else [model]
        with open_session(path) as saved:
            return cls.resume(
                saved, data, models, settings=settings, labels=labels, same_pixels=same_pixels
            )

    @classmethod
    def resume(
        cls,
        saved: SavedSession,
        data: ArrayLike | Sequence[ArrayLike],
        models: Sequence[str | Path | SAM2 | None] = (None,),
        *,
        settings: Settings | None = None,
        labels: Any = None,
        same_pixels: bool = True,
    ) -> Self:
        """Do as `load`, with a file that is open already; see `open_session`.

        Parameters
        ----------
        saved : SavedSession
        models : sequence of str, Path, SAM2 or None
            Those to try, in order.
        data, settings, labels, same_pixels
            As in `load`, which says what is raised, too.
        """
        view = saved.view_of(data, same_pixels=same_pixels)
        is_filled = labels is None and saved.are_labels_elsewhere
        if labels is None:
            labels = saved.open_labels()
        begin: Any = cls  # a `Session`, whose arguments these are
        failures: list[ValueError] = []
        for model in models:
            try:
                computed = _model_and_settings(saved, model, settings)
                session: Self = begin(data, view=view, labels=labels, **computed)
                break
            except ValueError as error:  # its weights are not here: the work is, all the same
                failures.append(error)
        else:
            raise failures[0]
        session.restore(saved, labels=not is_filled)
        if failures:
            shown = saved.about["model"]["shown"]
            session.remark = f"Opened with {session.model.config.name}, not {shown}: {failures[0]}"
        return session

    def restore_others(self, saved: SavedSession) -> list[Self]:
        """Begin the sessions of other places that are in a file; see `load_others`."""
        first: Any = self  # a `Session`, which can begin others
        others = []
        for place, view in enumerate(saved.other_views(), start=1):
            other: Self = first.at(view.held or {}, view.axis)
            saved.restore(other._work, labels=False, place=place)
            other.origin = saved.origin
            others.append(other)
        return others

    def load_others(self, path: str | PathLike[str]) -> list[Self]:
        """Open the sessions at other places in the data that were saved with this one.

        Parameters
        ----------
        path : str or PathLike
            What this session was loaded from.

        Returns
        -------
        list of Session
            They share its model, its labels and its numbers; see `at`. Empty if it was alone.
        """
        with open_session(path) as saved:
            return self.restore_others(saved)

    def restore(self, saved: SavedSession, *, labels: bool = True) -> None:
        """Take objects and what is known of them from a file; for a session without any.

        Parameters
        ----------
        saved : SavedSession
            Of the same data, seen in the same way; see `open_session`.
        labels : bool
            Whether to take the labels, too; else they hold what was saved already.
        """
        saved.restore(self._work, labels=labels)
        self.origin = saved.origin

    def save(
        self,
        path: str | PathLike[str],
        *,
        labels: Keep = "copy",
        others: Sequence[Persistent] = (),
    ) -> None:
        """Save all of it but the stack, so that `load` can go on.

        Where there is a session file already, what differs is written to it; whatever
        happens meanwhile, either all of it is there or what was there before.

        Parameters
        ----------
        path : str or PathLike
            By custom its name ends in ``.sam2``.
        labels : {"copy", "reference"}
            Whether the labels go into the file, or, where they are a memmap or in a zarr
            folder, only where they are.
        others : sequence of Session
            At other places in the same data, made with `at`: they go into the same file, and
            `load_others` opens them again.

        Raises
        ------
        SessionFileError
            If it cannot be written, or there is a file of another kind.
        ValueError
            If the labels cannot be referred to.
        """
        for _ in self.saving(path, labels=labels, others=others):
            pass

    def saving(
        self,
        path: str | PathLike[str],
        *,
        labels: Keep = "copy",
        others: Sequence[Persistent] = (),
    ) -> Generator[bool, None, None]:
        """Do as `save`, one plane of the labels a step; nothing is saved before the last."""
        place = refer_to(self.labels, Path(path)) if labels == "reference" else None
        works = [other._work for other in others]
        return save_steps(Path(path), self._work, self.about(), labels=place, others=works)

    def name_model(self, asked: str | Path | SAM2) -> None:
        """Say by what the model is found again, of a session that was given it loaded.

        Parameters
        ----------
        asked : str, Path or SAM2
            As for a new session; a model that was fine-tuned is not known by its shape.
        """
        self._asked = asked

    def about(self) -> dict[str, Any]:
        """Give model, settings and origin of the data, as they are saved."""
        return {
            "model": record_model(self._asked, self.model),
            "settings": record_settings(replace(self.settings, overlap=self.overlap)),
            "origin": asdict(self.origin),
        }


def _model_and_settings(
    saved: SavedSession, model: str | Path | SAM2 | None, settings: Settings | None
) -> dict[str, Any]:
    """Give what a session computes with, as arguments; None is what it was saved with."""
    wanted = settings or read_settings(saved.about["settings"])
    if model is None:
        return {"model": find_model(saved.about["model"]), "settings": wanted}
    if settings is None:  # the weights were of another model
        wanted = replace(wanted, checkpoint=None)
    return {"model": model, "settings": wanted}
