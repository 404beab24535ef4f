"""Labels that lie elsewhere: copied into the file of a session, or referred to."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
import zarr
from session_steps import prompted, run

from napari_sam2 import Session


def test_labels_elsewhere_are_copied_unless_referred_to(blobs, tiny_model, tmp_path, path):
    labels = zarr.create_array(tmp_path / "labels.zarr", shape=blobs[0].shape, dtype=np.uint16)
    session = Session(blobs[0], tiny_model, labels=labels)
    prompted(session)
    run(session)
    session.save(path)
    expected = labels[:]
    labels[:] = 0

    loaded = Session.load(path, blobs[0], tiny_model)

    np.testing.assert_array_equal(loaded.labels, expected)


@pytest.mark.parametrize("kind", ["zarr", "memmap"])
def test_labels_that_are_referred_to_move_with_the_file(blobs, tiny_model, tmp_path, kind):
    here = tmp_path / "here"
    here.mkdir()
    shape = blobs[0].shape
    if kind == "zarr":
        labels = zarr.create_array(here / "labels.zarr", shape=shape, dtype=np.uint16)
    else:
        labels = np.memmap(here / "labels.bin", np.uint16, "w+", shape=shape)
    session = Session(blobs[0], tiny_model, labels=labels)
    prompted(session)
    run(session)
    session.save(here / "cells.sam2", labels="reference")
    expected = np.array(labels[:])
    here.rename(tmp_path / "there")

    loaded = Session.load(tmp_path / "there" / "cells.sam2", blobs[0], tiny_model)

    np.testing.assert_array_equal(loaded.labels[:], expected)
    assert not isinstance(loaded.labels, np.ndarray) or isinstance(loaded.labels, np.memmap)
    assert loaded.add_object() == 3


def test_labels_can_be_put_into_an_array_of_ones_own(session, path, blobs):
    labels = np.full(blobs[0].shape, 5, np.uint16)

    prompted(session)
    run(session)
    session.save(path)

    loaded = Session.load(path, session.source.data, session.model, labels=labels)

    assert loaded.labels is labels
    np.testing.assert_array_equal(labels, session.labels)


@pytest.fixture
def referring(blobs, tiny_model, tmp_path, path):
    """A session that was saved with a copy of its labels, and later by reference to them."""
    labels = np.memmap(tmp_path / "labels.bin", np.uint16, "w+", shape=blobs[0].shape)
    session = Session(blobs[0], tiny_model, labels=labels)
    cell = session.add_object()
    session.add_mask(cell, 0, blobs[1][0] == 1)
    run(session, stop=1)
    session.save(path)
    session.add_mask(cell, 0, blobs[1][0] == 2)
    run(session, stop=1)
    session.save(path, labels="reference")
    return session


def test_labels_that_are_referred_to_can_be_put_into_an_array_of_ones_own(referring, path, blobs):
    own = np.full(blobs[0].shape, 9, np.uint16)

    loaded = Session.load(path, blobs[0], referring.model, labels=own)

    assert loaded.labels is own
    np.testing.assert_array_equal(own, referring.labels)


def test_copies_of_labels_go_once_they_are_referred_to(referring, path):
    with sqlite3.connect(path) as file:
        (copies,) = file.execute("SELECT count(*) FROM records WHERE kind = 'labels'").fetchone()
    file.close()

    assert copies == 0
