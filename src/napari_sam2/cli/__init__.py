"""The command line: ``napari-sam2 demo | track | segment | evaluate | train | models | vos``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from napari_sam2.cli import demo, evaluate, models, segment, track, train, vos

if TYPE_CHECKING:
    from collections.abc import Sequence

#: RuntimeErrors that no input may cause: their traceback is for us.
BUGS = (NotImplementedError, RecursionError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 2 where the input cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    # What users get wrong, and what machines do: torch's lack of memory is a RuntimeError.
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        if options.traceback or isinstance(error, BUGS):
            raise
        _complain(error)
        return 2
    except KeyboardInterrupt as stopped:
        print("Stopped.", *_notes(stopped), file=sys.stderr)
        return 130
    return 0


def _complain(error: Exception) -> None:
    message = str(error) or type(error).__name__
    if isinstance(error, RuntimeError | MemoryError):
        # torch adds advice for programmers from the second line on.
        message = f"{message.splitlines()[0]} (napari-sam2 --traceback ... shows where.)"
    print(f"napari-sam2: {message}", *_notes(error), sep="\n", file=sys.stderr)


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="napari-sam2", description=__doc__)
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (demo, track, segment, evaluate, train, models, vos):
        command.add_command(commands)
    return parser
