import sys

sys.path.insert(0, "/work/main/tests")
from test_widget import *


def test_dbg(window, docked, qtbot):
    add_points(docked, [0, 30, 40])
    qtbot.waitUntil(lambda: previewed(window) == {1}, timeout=WAIT)
    window.layers.selection.active = window.layers["blobs"]
    press(window, qtbot, Qt.Key.Key_N)
    docked.panels.objects.make_current(1)
    press(window, qtbot, Qt.Key.Key_T)
    press(window, qtbot, Qt.Key.Key_C)
    print(
        "STATUS",
        docked.panels.status.label.text(),
        docked.panels.objects.current(),
        window.layers[POINTS].features,
        window.layers,
    )
    print(
        {str(k): v for k, v in window.layers["blobs"].keymap.items()},
        [str(k) for k in type(window.layers["blobs"]).class_keymap],
    )
    qtbot.wait(500)
    print("STATUS", docked.panels.status.label.text(), window.layers)
