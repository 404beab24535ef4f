"""Meta's checkpoints, fetched once: checked, kept in the cache, and resumed where one broke off.

pooch and requests are imported when something is downloaded: a machine that has its weights
needs neither.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_sam2.model.locations import cache_folder, download_url
from napari_sam2.model.registry import PUBLISHED, PublishedModel, find_published

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Never

    import requests
    from tqdm import tqdm

#: Told the bytes that are here and, where the server says, how many there will be. What it
#: raises ends the download.
Report = Callable[[int, int | None], None]

_TIMEOUT = 10.0, 60.0  #: seconds to connect, and between one piece and the next
_PIECE = 2**16  #: bytes; what is lost at most where a transfer breaks off


class DownloadError(OSError):
    """A checkpoint cannot be fetched, or what came is not what Meta published."""


def published_model(name: str) -> PublishedModel:
    """Give one of Meta's models, by any name that it is known by.

    Raises
    ------
    ValueError
        If none of Meta's is called so.
    """
    model = find_published(name)
    if model is None:
        raise ValueError(
            f"Meta published no model {name!r}. Expected one of "
            f"{[known.name for known in PUBLISHED]}, or Meta's name for its config or file."
        )
    return model


def cached_path(model: PublishedModel) -> Path:
    """Say where the file of a model lies once it is downloaded."""
    return cache_folder() / model.file


def partial_path(model: PublishedModel) -> Path:
    """Say where the beginning of a file lies until all of it is here."""
    return cache_folder() / f"{model.file}.partial"


def download_weights(
    model: str | PublishedModel, *, mirror: str | None = None, report: Report | None = None
) -> Path:
    """Fetch a checkpoint of Meta's into the cache, unless it is there already.

    What is there is read and checked too. A download that was stopped, by whatever, goes on
    where it was; the file gets its name when all of it is here and its SHA-256 is Meta's.

    Parameters
    ----------
    model : str or PublishedModel
        Any name it is known by, e.g. ``sam2.1_hiera_tiny`` or ``facebook/sam2.1-hiera-tiny``.
    mirror : str, optional
        Another server that has Meta's files, see `PublishedModel.url`; ``NAPARI_SAM2_MIRROR``,
        or else Meta's own, unless given.
    report : callable, optional
        Called as ``report(bytes_here, bytes_in_all)`` while the file comes.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If none of Meta's models is called so.
    DownloadError
        If the file cannot be had, or is another than Meta published.
    """
    import requests

    published = model if isinstance(model, PublishedModel) else published_model(model)
    url = download_url(published, mirror)
    resumed = partial_path(published).is_file()
    try:
        try:
            _retrieve(published, url, report)
        except _WrongContentError:
            if not resumed:
                raise
            # What was here already may be the beginning of another file.
            _retrieve(published, url, report)
    except requests.RequestException as error:
        raise DownloadError(_explain(published, url, _reason(error))) from error
    except _WrongContentError as error:
        raise DownloadError(
            f"What {url} sent is not Meta's {published.file}: {error} It was thrown away, and "
            "nothing else was changed. Try again later, or from another server (--mirror, "
            "NAPARI_SAM2_MIRROR)."
        ) from error
    return cached_path(published)


@contextmanager
def progress_bar(model: PublishedModel) -> Iterator[Report]:
    """Show a bar when something comes; it begins where a download goes on.

    Yields
    ------
    callable
        The `report` for `download_weights`.
    """
    from tqdm import tqdm

    bars: list[tqdm[Never]] = []

    def report(here: int, total: int | None) -> None:
        if not bars:
            bars.append(tqdm(desc=model.name, initial=here, total=total, unit="B", unit_scale=True))
        bars[0].update(here - bars[0].n)

    try:
        yield report
    finally:
        for bar in bars:
            bar.close()


def is_as_published(model: PublishedModel) -> bool:
    """Read the file in the cache and compare its SHA-256 with Meta's.

    Raises
    ------
    OSError
        If it is not there or cannot be read.
    """
    with cached_path(model).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == model.sha256


class _WrongContentError(Exception):
    """The file came, and its hash is another."""


def _retrieve(model: PublishedModel, url: str, report: Report | None) -> None:
    """Let pooch fetch what is not here or damaged: it renames the file once its hash is right."""
    import pooch
    import requests

    def transfer(url: str, output_file: str, _: object) -> None:
        # pooch's own file is new each time, and deleted when anything fails.
        part = partial_path(model)
        _append_rest(url, part, report)
        part.replace(output_file)

    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{model.sha256}",
            fname=model.file,
            path=cache_folder(),
            downloader=transfer,
        )
    except requests.RequestException:  # some of which are ValueErrors
        raise
    except ValueError as error:
        raise _WrongContentError(str(error)) from error


def _append_rest(url: str, part: Path, report: Report | None) -> None:
    """Write what a file lacks at its end, or all of it where the server sends no parts."""
    import requests

    here = part.stat().st_size if part.is_file() else 0
    # Compressed on the way, a part would be a part of something else.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={here}-"} if here else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if here and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # There is nothing after what is here. Whether that is right its hash tells.
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        here = here if resumed else 0
        total = _length(response, here)
        if total is not None:
            _check_room(part, total - here)
        with part.open("ab" if resumed else "wb") as file:
            for piece in response.iter_content(_PIECE):
                if report is not None:
                    report(here, total)
                file.write(piece)
                here += len(piece)
    if report is not None:
        report(here, total)
    if total is not None and here < total:
        # urllib3 before 2.0 takes this for the end.
        raise requests.exceptions.ChunkedEncodingError(f"{here} of {total} bytes came")


def _length(response: requests.Response, here: int) -> int | None:
    announced = response.headers.get("Content-Length", "")
    return here + int(announced) if announced.isdecimal() else None


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise DownloadError(
            f"{part.parent} has room for {free / 1e6:.0f} MB, and {needed / 1e6:.0f} MB are "
            "needed. Make room, or name another folder in NAPARI_SAM2_CACHE."
        )


def _reason(error: requests.RequestException) -> str:
    import requests

    match error:
        case requests.HTTPError(response=requests.Response() as response):
            return f"the server answered {response.status_code} {response.reason}"
        case requests.Timeout():
            return "the server did not answer in time"
        case requests.exceptions.ChunkedEncodingError():
            return "the transfer broke off"
        case requests.exceptions.SSLError():
            return f"the connection is not secure ({error})"
        case requests.ConnectionError():
            return "there is no connection to the server"
    return str(error)


def _explain(model: PublishedModel, url: str, reason: str) -> str:
    part = partial_path(model)
    kept = ""
    if part.is_file():
        size = part.stat().st_size
        kept = f" The {size / 1e6:.1f} MB that came are kept, and the next try goes on from there."
    return (
        f"{model.file} cannot be fetched from {url}: {reason}.{kept} Try again, or from another "
        f"server (--mirror, NAPARI_SAM2_MIRROR); or fetch the file on another computer and put it "
        f"into {cache_folder()}."
    )
