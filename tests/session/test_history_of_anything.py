"""Whatever is done in whatever order: undone, it never was; redone, it is as it was."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from session_steps import disc

from napari_sam2 import Candidates, MaskPrompt, ObjectMask, PointPrompt, Session

SHAPE = (24, 32)
FRAMES = st.integers(0, 3)


def state(session):
    """Give all that a session holds, to be compared."""
    records = [(i, known) for i, known in session.objects.items()]
    return records, session.labels.tobytes(), session.quality.rows().tobytes()


@st.composite
def masks(draw):
    row, column = draw(st.integers(0, SHAPE[0])), draw(st.integers(0, SHAPE[1]))
    return disc(row, column, draw(st.integers(0, 12)), SHAPE)


class Changes(RuleBasedStateMachine):
    """Changes a session in any way; knows how it was after each step."""

    model = None
    undone = 0  #: steps, in all runs

    @initialize()
    def begin(self):
        self.session = Session(np.zeros((4, *SHAPE), np.uint8), self.model)
        self.states = [state(self.session)]

    def note(self):
        """Keep the state after each step."""
        n = len(self.session.history)
        del self.states[n:]
        self.states.append(state(self.session))
        assert len(self.states) == n + 1

    def some(self, data):
        return data.draw(st.sampled_from(sorted(self.session.objects)))

    @rule()
    def add(self):
        self.session.add_object()
        self.note()

    @precondition(lambda self: self.session.objects)
    @rule(data=st.data(), frame=FRAMES, row=st.integers(0, 23))
    def prompt(self, data, frame, row):
        one = self.some(data)
        end = self.session.objects[one].end
        if end is None or frame < end:
            points = [PointPrompt(frame, row, 3)]
            if self.session.set_prompts(one, frame, points):
                self.note()

    @precondition(lambda self: self.session.objects)
    @rule(data=st.data(), frame=FRAMES)
    def clear(self, data, frame):
        if self.session.set_prompts(self.some(data), frame, []):
            self.note()

    @precondition(lambda self: self.session.objects)
    @rule(data=st.data(), frame=FRAMES, mask=masks(), score=st.floats(0.1, 9))
    def accept(self, data, frame, mask, score):
        one = ObjectMask.given(self.some(data), MaskPrompt(frame, mask))
        one = ObjectMask(one.object_id, one.origin, one.logits * np.float16(score), 0.5, 3.0)
        self.session.accept(Candidates(frame, SHAPE, (one,)))
        self.note()

    @precondition(lambda self: self.session.objects)
    @rule(data=st.data())
    def remove(self, data):
        self.session.remove_object(self.some(data))
        self.note()

    @precondition(lambda self: self.session.objects)
    @rule(data=st.data(), name=st.sampled_from("ab"))
    def rename(self, data, name):
        one = self.some(data)
        if self.session.objects[one].name != name:
            self.session.rename_object(one, name)
            self.note()

    @precondition(lambda self: any(k.frames - k.locked for k in self.session.objects.values()))
    @rule(data=st.data())
    def lock(self, data):
        known = self.session.objects
        one = data.draw(st.sampled_from([i for i in known if known[i].frames - known[i].locked]))
        self.session.lock(one, known[one].frames)
        self.note()

    @precondition(lambda self: self.session.objects)
    @rule(data=st.data(), frame=FRAMES, some=st.tuples(masks(), masks()))
    def divide(self, data, frame, some):
        one = self.some(data)
        if self.session.objects[one].end is None:
            self.session.divide(one, frame, some)
            self.note()

    @rule()
    def undo(self):
        if self.session.history:
            self.session.undo()
            assert state(self.session) == self.states[len(self.session.history)]

    @rule()
    def redo(self):
        if self.session.undone:
            self.session.redo()
            assert state(self.session) == self.states[len(self.session.history)]

    def teardown(self):
        if not hasattr(self, "session"):
            return
        while self.session.undone:
            self.session.redo()
        end = state(self.session)
        while self.session.history:
            self.session.undo()
        assert state(self.session) == self.states[0]
        while self.session.undone:
            self.session.redo()
        assert state(self.session) == end == self.states[-1]
        type(self).undone += len(self.states) - 1


def test_any_changes_are_undone_and_redone(tiny_model):
    Changes.model = tiny_model
    few = settings(max_examples=40, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(Changes, settings=few)

    assert Changes.undone > 100, "there was hardly anything to undo"
