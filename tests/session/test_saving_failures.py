"""What a session file that cannot be used says, and that nothing is lost when saving fails."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from session_steps import prompted, run

from napari_sam2 import Session, SessionFileError
from napari_sam2.session_files.records import FORMAT


@pytest.fixture
def saved(session, path):
    prompted(session)
    run(session)
    session.save(path)
    return session


def load(path, session, data=None):
    return Session.load(path, session.source.data if data is None else data, session.model)


def test_missing_file(session, path):
    with pytest.raises(SessionFileError, match="There is no session file"):
        load(path, session)


@pytest.mark.parametrize("content", [b"", b"II*\0" + bytes(2000), b"SQLite format 3\0" + bytes(9)])
def test_foreign_file(session, path, content):
    path.write_bytes(content)

    with pytest.raises(SessionFileError, match="is not a session file: expected one"):
        load(path, session)


def test_database_of_another_program(session, path):
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE records (kind, key)")
    file.close()

    with pytest.raises(SessionFileError, match="is not a session file"):
        load(path, session)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_truncated_file(saved, path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(SessionFileError, match="damaged, or was cut off"):
        load(path, saved)


def test_content_that_changed_by_itself(saved, path):
    with sqlite3.connect(path) as file:
        file.execute("UPDATE records SET digest = x'00' WHERE kind = 'labels' AND key = '3'")
    file.close()

    with pytest.raises(SessionFileError, match="labels 3 is not what was written"):
        load(path, saved)


def test_newer_version(saved, path):
    with sqlite3.connect(path) as file:
        file.execute(f"PRAGMA user_version = {FORMAT + 1}")
    file.close()

    with pytest.raises(SessionFileError, match=r"newer version.*its format is 2.*pip install -U"):
        load(path, saved)


def test_stack_of_another_shape_or_type(saved, path, blobs):
    for data in (blobs[0][:-1], blobs[0].astype(np.float32)):
        with pytest.raises(SessionFileError, match=r"another stack: expected uint8 .*, got"):
            load(path, saved, data)


def test_stack_with_other_pixels_unless_they_are_wanted(saved, path, blobs):
    other = blobs[0].copy()
    other[-1, 4, 4] += 1

    with pytest.raises(SessionFileError, match=r"other pixels on frame 7.*same_pixels=False"):
        load(path, saved, other)
    loaded = Session.load(path, other, saved.model, same_pixels=False)
    np.testing.assert_array_equal(loaded.labels, saved.labels)


def test_labels_that_were_referred_to_and_are_gone(blobs, tiny_model, tmp_path, path):
    labels = np.memmap(tmp_path / "labels.bin", np.uint16, "w+", shape=blobs[0].shape)
    session = Session(blobs[0], tiny_model, labels=labels)
    session.save(path, labels="reference")
    (tmp_path / "labels.bin").rename(tmp_path / "other.bin")

    with pytest.raises(ValueError, match=r"labels\.bin, which is not there any more"):
        load(path, session)


def test_labels_in_memory_cannot_be_referred_to(session, path):
    with pytest.raises(ValueError, match="Save a copy"):
        session.save(path, labels="reference")
    assert not path.exists()


def test_other_files_are_not_overwritten(session, path):
    path.write_bytes(b"my only copy")

    with pytest.raises(SessionFileError, match="is not a session file"):
        session.save(path)
    assert path.read_bytes() == b"my only copy"


def test_saving_that_is_given_up_leaves_what_was_there(saved, path, blobs):
    before = saved.labels.copy()
    saved.labels[:] = 1
    steps = saved.saving(path)
    for _ in range(4):
        next(steps)
    steps.close()

    np.testing.assert_array_equal(load(path, saved).labels, before)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_new_file_has_its_name_only_once_it_is_whole(session, path):
    prompted(session)
    steps = session.saving(path)
    next(steps)
    assert not path.exists()
    steps.close()

    assert list(path.parent.iterdir()) == []


def test_work_can_be_saved_although_the_image_cannot_be_read_any_more(blobs, tiny_model, path):
    class Unplugged:
        shape, dtype = blobs[0].shape, blobs[0].dtype
        is_there = True

        def __getitem__(self, index):
            if not self.is_there:
                raise OSError("the drive is gone")
            return blobs[0][index]

    stack = Unplugged()
    session = Session(stack, tiny_model)
    prompted(session)
    run(session)
    stack.is_there = False

    session.save(path)

    np.testing.assert_array_equal(load(path, session, blobs[0]).labels, session.labels)


FULL_DISK = """
import resource, signal, sys, numpy as np
from napari_sam2 import Session, SessionFileError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
stack = np.load(sys.argv[1])
session = Session(stack, settings=None)
session.save(sys.argv[2])
session.labels[:] = np.random.default_rng(0).integers(0, 2**16, stack.shape)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    session.save(sys.argv[2])
except SessionFileError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_full_disk_leaves_the_file_as_it_was(blobs, path, tmp_path):
    np.save(tmp_path / "stack.npy", blobs[0])
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "stack.npy"), str(path)]

    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    assert "what was saved before is untouched" in told
    loaded = Session.load(path, blobs[0])
    assert not loaded.labels.any()
