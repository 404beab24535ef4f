"""docs/api.md names what there is, as it is."""

import inspect
import re
from functools import reduce
from pathlib import Path

import pytest

import napari_sam2
from napari_sam2.cli import main

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
#: What stands first in a table's row: a name, and its arguments if it is called.
ENTRIES = re.findall(r"^\| `([A-Za-z_0-9.]+)(?:\((.*?)\))?` \|", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("name", napari_sam2.__all__)
def test_public_name_has_an_entry(name):
    assert name in {entry for entry, _ in ENTRIES}


@pytest.mark.parametrize(
    "owner",
    [
        "Session",
        "StackSeries",
        "SAM2ImagePredictor",
        "SAM2AutomaticMaskGenerator",
        "SAM2VideoPredictor",
    ],
)
def test_public_methods_are_named(owner):
    kind = getattr(napari_sam2, owner)
    # Those that are for other rooms of the package, or the same in every class.
    others = {"from_pretrained", "embed", "decode", "enlarge", "device", "image_size"}
    others |= {"watch_steps", "apart_from_history", "knows"}
    kinds = [one for one in kind.__mro__ if one.__module__.startswith("napari_sam2")]
    own = {name for one in kinds for name in vars(one) if not name.startswith("_")} - others

    assert own <= {entry.partition(".")[2] for entry, _ in ENTRIES}


@pytest.mark.parametrize(("entry", "arguments"), ENTRIES, ids=[entry for entry, _ in ENTRIES])
def test_entry_has_the_arguments_it_says(entry, arguments):
    found = reduce(getattr, entry.split("."), napari_sam2)

    named = {part.partition("=")[0].strip() for part in arguments.split(",") if part.strip()}
    if named - {"..."}:
        assert named - {"..."} <= inspect.signature(found).parameters.keys()


def test_every_command_is_named(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    (\S+) ", capsys.readouterr().out, flags=re.MULTILINE)

    assert commands
    assert [command for command in commands if f"`napari-sam2 {command}" not in PAGE] == []
