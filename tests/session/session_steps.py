"""What most tests of a session begin with."""


def prompted(session):
    """Two objects: one from the first frame, one from the sixth."""
    first, second = session.add_object("first"), session.add_object("second")
    session.add_points(first, 0, [[30, 40]])
    session.add_box(second, 5, [50, 65, 70, 85])
    return first, second


def run(session, *args, **kwargs):
    return [masks.frame for masks in session.propagate(*args, **kwargs)]
