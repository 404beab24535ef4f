"""Menus and dialogs of a real window, used as a hand would."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import napari
    from qtpy.QtGui import QAction


def menu_actions(viewer: napari.Viewer, *titles: str) -> dict[str, QAction]:
    """Open menus one in another, and give what is in the last, by title."""
    actions = viewer.window._qt_window.menuBar().actions()
    for title in titles:
        menu = _by_title(actions)[title].menu()
        menu.aboutToShow.emit()
        actions = menu.actions()
    return _by_title(actions)


def choose_in_menu(viewer: napari.Viewer, *titles: str) -> None:
    """Choose what the last title names."""
    *menus, last = titles
    menu_actions(viewer, *menus)[last].trigger()


@contextmanager
def answer_file_dialog(path: Path) -> Iterator[None]:
    """Type a path into the file dialog that is opened within."""
    answered = []

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QFileDialog):
            timer.stop()
            answered.append(dialog)
            line = dialog.findChild(QLineEdit, "fileNameEdit")
            line.setText(str(path))
            QTest.keyClick(line, Qt.Key.Key_Return)

    # Those of the system answer to no code.
    native = Qt.ApplicationAttribute.AA_DontUseNativeDialogs
    before = QCoreApplication.testAttribute(native)
    QCoreApplication.setAttribute(native, True)
    timer = QTimer()
    timer.timeout.connect(answer)
    timer.start(20)
    try:
        yield
    finally:
        timer.stop()
        QCoreApplication.setAttribute(native, before)
    assert answered, "No file dialog was opened"


def _by_title(actions: list[QAction]) -> dict[str, QAction]:
    return {action.text().replace("&", ""): action for action in actions if action.text()}
