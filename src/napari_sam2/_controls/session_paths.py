"""Where the sessions of images are saved, and where further files may go."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from napari.layers import Image


class SessionPaths:
    """Remembers the session file of each image, and suggests names for what comes beside it."""

    def __init__(self) -> None:
        self._files: WeakKeyDictionary[Image, Path] = WeakKeyDictionary()
        self._folder: Path | None = None

    @property
    def folder(self) -> Path | None:
        """Where a session was saved or opened last."""
        return self._folder

    def file_of(self, image: Image | None) -> Path | None:
        """Give where the session of an image is, if it was saved or opened."""
        return None if image is None else self._files.get(image)

    def remember(self, image: Image, path: Path) -> None:
        """Note that the session of an image is in a file."""
        self._files[image], self._folder = path, path.parent

    def forget(self, image: Image) -> None:
        """Note that what is worked on in an image is in no file of the user's."""
        self._files.pop(image, None)

    def suggest(self, image: Image | None, ending: str) -> Path:
        """Give a path for something of an image, which is no other image's session."""
        name = "session" if image is None else image.name
        source = None if image is None else image.source.path
        folder = self._folder or (Path(source).parent if source else Path.cwd())
        taken = set(self._files.values())
        numbered = (folder / f"{name}-{number}{ending}" for number in count(2))
        first = folder / f"{name}{ending}"
        return first if first not in taken else next(one for one in numbered if one not in taken)
