"""Prompts from a CSV: points and boxes by object and frame."""

from __future__ import annotations

import csv
from collections import defaultdict
from typing import TYPE_CHECKING

from napari_sam2.prompts import BoxPrompt, PointPrompt, Prompt, parse_object_id, parse_positive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Prompts of each object by frame; of a number, or a name.
PromptTable = dict[int | str, dict[int, list[Prompt]]]


def read_prompts(path: Path) -> PromptTable:
    """Read prompts by object and frame from a CSV; see ``napari-sam2 track --help``.

    Objects are whole numbers, which they have in the labels, or names; without a column for
    them, or where it is empty, each row is an object.

    Raises
    ------
    ValueError
        If a column is missing or a value cannot be read; the message names the line.
    """
    found: defaultdict[int | str, defaultdict[int, list[Prompt]]]
    found = defaultdict(lambda: defaultdict(list))
    rows = _read_rows(path)
    named = any(row.get("object") for _, row in rows)
    for line, row in rows:
        try:
            prompt = _read_prompt(row)
            key = _read_object(row) if named else f"object {len(found) + 1}"
        except ValueError as error:
            raise ValueError(f"{path.name}, line {line}: {error}") from error
        found[key][prompt.frame].append(prompt)
    if not found:
        raise ValueError(f"{path.name} has no points in it.")
    return {key: dict(frames) for key, frames in found.items()}


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Give each row of a CSV with its line, and refuse one without the columns that it needs."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        try:
            columns = reader.fieldnames or []
            for column in ("frame", "row", "column"):
                if column not in columns:
                    raise ValueError(
                        f"{path.name} has no column {column!r}; it needs frame, row and column."
                    )
            if ("row1" in columns) != ("column1" in columns):
                raise ValueError(
                    f"{path.name} has only one of the columns 'row1' and 'column1'; boxes need "
                    "both."
                )
            return [(reader.line_num, row) for row in reader]
        except csv.Error as error:
            raise ValueError(f"{path.name}, line {reader.line_num}: {error}") from error


def _read_prompt(row: Mapping[str, str]) -> Prompt:
    frame = _number(row, "frame")
    if not frame.is_integer():
        raise ValueError(f"frame is {row['frame']}; it must be a whole number, from 0.")
    start = int(frame), _number(row, "row"), _number(row, "column")
    positive = parse_positive(row["positive"]) if row.get("positive") else True
    if not row.get("row1") and not row.get("column1"):
        return PointPrompt(*start, positive)
    if not positive:
        raise ValueError("A box cannot be negative; give points beside the object.")
    return BoxPrompt(*start, _number(row, "row1"), _number(row, "column1"))


def _number(row: Mapping[str, str], column: str) -> float:
    if not row.get(column):
        raise ValueError(f"{column} is missing.")
    try:
        return float(row[column])
    except ValueError as error:
        raise ValueError(f"{column} is {row[column]!r}; it must be a number.") from error


def _read_object(row: Mapping[str, str]) -> int | str:
    if not (name := row.get("object")):
        raise ValueError("object is missing; name it in every row, or in none.")
    try:
        return parse_object_id(name)
    except ValueError:
        return name
