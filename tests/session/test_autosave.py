"""Work that was not saved is offered again, whatever went wrong while it was written."""

from __future__ import annotations

import numpy as np
import pytest
from session_steps import disc

from napari_sam2 import Candidates, ObjectMask
from napari_sam2.autosave import Autosave, find_unsaved
from napari_sam2.session import Session
from napari_sam2.session_files.records import RecordFile, SessionFileError
from napari_sam2.session_files.writer import CLEAN, SAVED


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "autosave"


@pytest.fixture
def cell(session):
    cell = session.add_object("cell")
    session.add_mask(cell, 0, disc(30, 40, shape=(96, 128)))
    return cell


@pytest.fixture
def clean(session, cell, folder):
    """A file whose content the user has saved elsewhere, too."""
    file = Autosave(folder)
    file.save(session)
    file.mark_clean()
    yield file
    file._file.close()


def restart(file, folder):
    """End as a program that is killed does, and look for unsaved work."""
    file._file.close()
    return [one.path for one in find_unsaved(folder)]


def test_work_that_is_saved_elsewhere_is_not_offered(clean, folder):
    assert restart(clean, folder) == []
    assert not clean.path.exists()


def test_work_after_it_was_saved_elsewhere_is_offered(clean, session, cell, folder):
    session.add_mask(cell, 5, disc(40, 40, shape=(96, 128)))

    assert clean.save(session)
    assert restart(clean, folder) == [clean.path]


@pytest.mark.parametrize("last", ["put", "drop"])
def test_work_is_offered_although_writing_failed_once(
    clean, session, cell, folder, monkeypatch, last
):
    session.add_mask(cell, 5, disc(40, 40, shape=(96, 128)))

    def fail(self, *args):
        raise SessionFileError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(RecordFile, last, fail)
        with pytest.raises(SessionFileError):
            clean.save(session)
    clean.save(session)

    assert restart(clean, folder) == [clean.path]


def test_content_and_the_word_that_it_is_unsaved_are_written_at_once(
    clean, session, cell, monkeypatch
):
    """Whoever is killed between two transactions leaves what the first one wrote."""
    session.add_mask(cell, 5, disc(40, 40, shape=(96, 128)))
    seen = []
    transaction = RecordFile.transaction

    def watched(self):
        seen.append(self.read(*CLEAN) is None)
        return transaction(self)

    monkeypatch.setattr(RecordFile, "transaction", watched)
    clean.save(session)

    assert seen == [False]
    assert clean._file.read(*CLEAN) is None


@pytest.fixture(params=["in the file", "beside it"])
def painted(request, blobs, tiny_model, folder):
    """A file with a session that was painted on since it was saved elsewhere, too."""
    file, labels = Autosave(folder), np.zeros(blobs[0].shape, np.uint16)
    if request.param == "beside it":
        labels = file.new_labels(labels.shape, labels.dtype, (1, 2))
    session = Session(blobs[0], tiny_model, labels=labels)
    session.add_object("painted")
    file.save(session)
    file.mark_clean()
    labels[2, 5:9, 5:9] = 7
    session.note_edits([[2, 5, 5]])
    yield file, session
    file._file.close()


def test_what_is_painted_is_offered(painted, folder):
    file, session = painted

    assert file.save(session)
    assert restart(file, folder) == [file.path]


def test_paint_that_is_saved_elsewhere_is_not_offered_however_often_it_is_told_of(painted, folder):
    file, session = painted
    file.save(session)
    session.add_object()
    file.save(session)
    file.mark_clean()

    session.note_edits([[2, 5, 5]])  # which may have been painted back

    assert not file.save(session)
    assert restart(file, folder) == []


def test_nothing_that_changed_is_nothing_to_offer(clean, session, folder):
    assert not clean.save(session)
    assert restart(clean, folder) == []


def test_quality_of_frames_whose_pixels_are_the_same_is_saved(tiny_model, folder):
    frames = np.random.default_rng(0).integers(0, 255, (140, 32, 32), dtype=np.uint8)
    session = Session(frames, tiny_model)
    cell = session.add_object()
    session.add_mask(cell, 0, disc(10, 10, 5, (32, 32)))
    list(session.propagate(stop=2))
    file = Autosave(folder)
    file.save(session)

    absent = ObjectMask(cell, (0, 0), np.zeros((0, 0), np.float16), 0.9, -3.0)
    session.accept(Candidates(100, (32, 32), (absent,)))

    assert file.save(session)
    file._file.close()
    restored = Session.load(file.path, frames, tiny_model)
    assert restored.quality.rows().tobytes() == session.quality.rows().tobytes()


@pytest.fixture
def crowd(tiny_model):
    """Ten thousand objects that are prompted on a frame."""
    labels = np.kron(np.arange(1, 10_001).reshape(100, 100), np.ones((3, 3), int))
    session = Session(np.zeros((2, 300, 300), np.uint8), tiny_model)
    session.add_labels(0, labels)
    return session


def test_ten_thousand_objects_are_restored(crowd, folder):
    file = Autosave(folder)

    file.save(crowd)

    file._file.close()
    restored = Session.load(file.path, crowd.source.data, crowd.model)
    assert restored.objects == crowd.objects


def test_of_ten_thousand_objects_those_that_changed_are_written(crowd, folder, monkeypatch):
    file = Autosave(folder)
    file.save(crowd)
    crowd.rename_object(7, "seven")
    written = []
    put = RecordFile.put
    monkeypatch.setattr(
        RecordFile, "put", lambda self, name, *rest: written.append(name) or put(self, name, *rest)
    )

    file.save(crowd)

    file._file.close()
    assert ("object", "7") in written
    assert set(written) <= {("object", "7"), SAVED}  # the time, if a second has passed
