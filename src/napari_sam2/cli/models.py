"""``napari-sam2 models``: what models there are; download, find and verify their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.downloads import (
    cached_path,
    download_weights,
    is_as_published,
    partial_path,
    progress_bar,
    published_model,
)
from napari_sam2.model import registry
from napari_sam2.model.checkpoint import weights_of
from napari_sam2.model.config import architecture_names, load_config, user_model_names
from napari_sam2.model.locations import (
    cache_folder,
    find_checkpoint,
    how_to_get,
    models_folder,
    weights_folder,
)

if TYPE_CHECKING:
    import argparse

    from napari_sam2.cli.compute import Commands


def add_command(commands: Commands) -> None:
    """Add the command, and those below it, to the parser."""
    models = commands.add_parser("models", help="list models; download, find, verify their weights")
    below = models.add_subparsers(required=True, metavar="list|download|path|verify")

    show = below.add_parser("list", help="show every model, and whether its weights are here")
    show.set_defaults(run=_list)

    download = below.add_parser(
        "download", help="fetch models of Meta's, or what is missing of them"
    )
    download.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="as in the list; or Meta's name for its config or file, or the Hugging Face hub's",
    )
    download.add_argument(
        "--mirror",
        dest="server",
        metavar="URL",
        help="folder of the same files on another server, where {file}, {folder} and {hub_id} "
        "are filled in; NAPARI_SAM2_MIRROR unless given",
    )
    download.set_defaults(run=_download)

    path = below.add_parser("path", help="print where the weights of a model are")
    path.add_argument(
        "name", nargs="?", metavar="NAME", help="the folder of downloads unless given"
    )
    path.set_defaults(run=_path)

    verify = below.add_parser("verify", help="compare downloaded files with what Meta published")
    verify.add_argument("names", nargs="*", metavar="NAME", help="all that are here unless given")
    verify.set_defaults(run=_verify)


def _list(_: argparse.Namespace) -> None:
    published = [model.name for model in registry.PUBLISHED]
    ours = [name for name in architecture_names() if name not in published]
    for name in [*ours, *published, *user_model_names()]:
        print(f"{name:24} {_state(name)}")
    print(f"\nYour own models are kept in {models_folder()}")
    print(f"Downloads are kept in {cache_folder()}")


def _state(name: str) -> str:
    path = find_checkpoint(load_config(name))
    if path is not None:
        where = {weights_folder(): "in the package", models_folder(): "yours"}
        return f"{_megabytes(path.stat().st_size)}  {where.get(path.parent, 'downloaded')}"
    model = registry.find_published(name)
    if model is None:
        return f"{'':7}  not here"
    part = partial_path(model)
    state = f"begun, {_megabytes(part.stat().st_size).strip()}" if part.is_file() else "not here"
    return f"{_megabytes(model.approximate_bytes)}  {state}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:4.0f} MB"


def _download(options: argparse.Namespace) -> None:
    # All names before the first megabyte.
    for model in [published_model(name) for name in options.names]:
        try:
            with progress_bar(model) as report:
                path = download_weights(model, mirror=options.server, report=report)
        except KeyboardInterrupt as stopped:
            stopped.add_note("What came is kept; the same command goes on from there.")
            raise
        print(f"{model.name}: {path}")


def _path(options: argparse.Namespace) -> None:
    if options.name is None:
        print(cache_folder())
        return
    print(weights_of(load_config(options.name)))


def _verify(options: argparse.Namespace) -> None:
    models = [published_model(name) for name in options.names]
    for model in models:
        if not cached_path(model).is_file():
            raise ValueError(
                f"There is no {cached_path(model)} to verify. {how_to_get(load_config(model.name))}"
            )
    models = models or [model for model in registry.PUBLISHED if cached_path(model).is_file()]
    if not models:
        print(f"None of Meta's models is in {cache_folder()}")
    wrong = []
    for model in models:
        if is_as_published(model):
            print(f"{model.name}: as Meta published it")
        else:
            wrong.append(model)
    if wrong:
        raise ValueError(
            "\n".join(
                f"{cached_path(model)} is not what Meta published (its SHA-256 should be "
                f"{model.sha256}). Fetch it again: napari-sam2 models download {model.name}"
                for model in wrong
            )
        )
