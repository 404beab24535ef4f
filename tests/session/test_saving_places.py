"""Sessions at several places in the same data are in one file."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2 import Session, View
from napari_sam2.autosave import Autosave


@pytest.fixture
def volumes(blobs):
    """Four frames of three planes, (T, Z, Y, X)."""
    return np.stack([blobs[0][:4]] * 3, axis=1)


@pytest.fixture
def first(volumes, tiny_model):
    """Plane 0 through time: one object, followed, and locked on a frame."""
    session = Session(volumes, tiny_model, view=View(held={1: 0}))
    session.add_points(session.add_object("cell"), 0, [[30, 40]])
    list(session.propagate())
    session.lock(1, 2)
    return session


@pytest.fixture
def elsewhere(first):
    """Plane 2 through time, and a volume through its planes."""
    plane, volume = first.at({1: 2}), first.at({0: 3}, axis=1)
    plane.add_points(plane.add_object("other"), 1, [[60, 90]])
    list(plane.propagate())
    volume.add_points(volume.add_object("third"), 1, [[34, 40]])
    volume.accept(volume.segment(3, 1))
    return [plane, volume]


def record(session):
    known = {i: (o.name, o.prompts, o.frames, o.locked) for i, o in session.objects.items()}
    held = dict(session.source.held)
    return session.source.axis, held, known, session.quality.rows().tolist()


def test_every_place_is_loaded_as_it_was(first, elsewhere, volumes, tiny_model, tmp_path):
    first.save(tmp_path / "cells.sam2", others=elsewhere)

    loaded = Session.load(tmp_path / "cells.sam2", volumes, tiny_model)
    others = loaded.load_others(tmp_path / "cells.sam2")

    np.testing.assert_array_equal(loaded.labels, first.labels)
    wanted = [record(one) for one in (first, *elsewhere)]
    assert [repr(record(one)) for one in (loaded, *others)] == [repr(one) for one in wanted]
    assert all(one.labels is loaded.labels for one in others)


def test_numbers_go_on_after_those_of_every_place(first, elsewhere, volumes, tiny_model, tmp_path):
    first.save(tmp_path / "cells.sam2", others=elsewhere)
    loaded = Session.load(tmp_path / "cells.sam2", volumes, tiny_model)
    (plane, volume) = loaded.load_others(tmp_path / "cells.sam2")

    assert [plane.add_object(), volume.add_object(), loaded.add_object()] == [4, 5, 6]


@pytest.mark.parametrize("order", [(1, 2, 0), (2,), (0, 1)])
def test_a_file_that_is_saved_again_has_what_is_there_now(
    first, elsewhere, volumes, tiny_model, tmp_path, order
):
    places = [first, *elsewhere]
    first.save(tmp_path / "cells.sam2", others=elsewhere)
    at_hand, *others = (places[i] for i in order)
    at_hand.save(tmp_path / "cells.sam2", others=others)

    loaded = Session.load(tmp_path / "cells.sam2", volumes, tiny_model)
    again = loaded.load_others(tmp_path / "cells.sam2")

    np.testing.assert_array_equal(loaded.labels, first.labels)
    assert [repr(record(one)) for one in (loaded, *again)] == [
        repr(record(one)) for one in (at_hand, *others)
    ]


def test_labels_of_a_place_that_is_new_are_saved(first, volumes, tiny_model, tmp_path):
    file = Autosave(tmp_path)
    file.save(first)
    plane = first.at({1: 2})
    plane.add_points(plane.add_object("other"), 1, [[60, 90]])
    list(plane.propagate())

    file.save(first, [plane])

    file.close()
    loaded = Session.load(file.path, volumes, tiny_model)
    np.testing.assert_array_equal(loaded.labels, first.labels)


def test_new_objects_are_numbered_past_what_was_painted_on_planes_seen_otherwise(blobs, tiny_model):
    session = Session(blobs[0], tiny_model)
    upright = session.at({}, axis=1)
    session.labels[4, 40:50, 40:50] = 7
    session.note_edits([[4, 40, 40]])

    assert upright.add_object() == 8


def test_what_another_place_has_written_since_is_saved(
    first, elsewhere, volumes, tiny_model, tmp_path
):
    file = Autosave(tmp_path)
    file.save(first, elsewhere)
    plane = elsewhere[0]
    plane.add_points(plane.add_object("late"), 0, [[34, 40]])
    plane.accept(plane.segment(4, 0))
    plane.lock(2, 1)

    assert file.save(first, elsewhere)
    assert not file.save(first, elsewhere)
    file.close()
    loaded = Session.load(file.path, volumes, tiny_model)
    (again, _) = loaded.load_others(file.path)
    np.testing.assert_array_equal(loaded.labels, first.labels)
    assert repr(record(again)) == repr(record(plane))


def test_the_model_of_a_place_is_found_again_by_the_name_that_was_asked_for(
    volumes, tiny_files, tmp_path
):
    config, _ = tiny_files
    first = Session(volumes, config, view=View(held={1: 0}))
    second = first.at({1: 1})
    second.save(tmp_path / "cells.sam2", others=[first])

    loaded = Session.load(tmp_path / "cells.sam2", volumes)

    assert loaded.about()["model"] == first.about()["model"]
    assert loaded.about()["model"]["name"] == str(config)
