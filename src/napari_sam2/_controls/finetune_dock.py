"""The Fine-tune dock: a model learns from the user's labels, while the window stays free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QGroupBox,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2._controls.dock import Dock, unwrapped
from napari_sam2._controls.finetune_form import FineTuneForm
from napari_sam2._controls.finetune_plot import LearningPlot
from napari_sam2._controls.finetune_results import FineTuneResults
from napari_sam2._controls.forms import VerticalScroll
from napari_sam2._controls.status import Status
from napari_sam2._worker import Call, Job
from napari_sam2.training.finetune_options import Progress

if TYPE_CHECKING:
    from collections.abc import Generator

    import napari.viewer

    from napari_sam2._controls.finetune_form import Source
    from napari_sam2.training.finetune import FineTuning
    from napari_sam2.training.finetune_options import FineTuneOptions

STAGES = {
    "before": "Measuring the model to begin with.",
    "training": "Learning.",
    "measuring": "Measuring on held-out objects.",
    "after": "Measuring the new model.",
}


class FineTuneDock(Dock):
    """Fine-tune a model on Labels layers, or on folders, and find it in the list of models.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.form = FineTuneForm(unwrapped(viewer))
        self.start_button = QPushButton("Fine-tune")
        self.start_button.setToolTip("Learn from the labels; you can go on working meanwhile")
        self.cancel_button = QPushButton("Stop, keep the best")
        self.cancel_button.setToolTip("End now; the best weights so far become the new model")
        self.bar = QProgressBar()
        self.plot = LearningPlot()
        self.plot.hide()  # until there is something to show
        self.results = FineTuneResults()
        self.status = Status()
        self._job = Job()
        self._run: FineTuning | None = None
        self._stopping = False
        self._lay_out()
        self.start_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self.stop)
        self.form.model.failed.connect(self.status.fail)
        self._set_running(False)
        self.shut_with(self._let_go)

    @property
    def is_running(self) -> bool:
        """Whether a model is learning."""
        return self._job.is_running

    def start(self) -> None:
        """Learn, as the form says."""
        try:
            source, options = self.form.source(), self.form.options()
        except ValueError as error:
            self.status.complain(str(error))
            return
        self._run, self._stopping = None, False
        self.results.clear()
        self.plot.clear(options.steps)
        self.plot.show()
        self.bar.setRange(0, 0)
        self.status.say("Reading labels, loading the model.")
        self._set_running(True)
        steps = _steps(source, options)
        self._job.start(Call(lambda: steps, self._show, self._fail, self._finish))

    def stop(self) -> None:
        """End soon; the best so far is kept."""
        self._stopping = True
        if self._run is None:
            self._job.cancel()
            self._end("Stopped before anything was learnt.")
        else:
            self._run.stop()
            self.cancel_button.setEnabled(False)
            self.status.say("Stopping; the best so far is measured and kept.")

    def _show(self, step: FineTuning | Progress) -> None:
        if not isinstance(step, Progress):
            self._run = step
            return
        self.plot.add(step)
        self.bar.setRange(0, step.steps)
        self.bar.setValue(step.step)
        left = "" if step.seconds_left is None else f", {_time(step.seconds_left)} left"
        self.bar.setFormat(f"{step.step} / {step.steps} steps{left}")
        if not self._stopping or step.stage == "after":
            self.status.say(STAGES[step.stage])
        if step.remark:
            self.status.note(step.remark)

    def _finish(self) -> None:
        result = None if self._run is None else self._run.result
        if result is None:
            self._end("Stopped.")
            return
        self._end(f"{result.name} is in the list of models ({result.ending}).")
        self.results.show_result(result)
        self.form.suggest_name()
        self.status.pop_up()

    def _fail(self, error: Exception) -> None:
        self._end("")
        self.status.fail(error)

    def _end(self, text: str) -> None:
        self._set_running(False)
        self.status.say(text)

    def _set_running(self, running: bool) -> None:
        self.start_button.setEnabled(not running)
        self.cancel_button.setEnabled(running)
        self.form.setEnabled(not running)
        self.bar.setVisible(running)
        if running:
            self.status.note("")

    def _let_go(self) -> None:
        self.form.disconnect_viewer()
        self._job.cancel()

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(2, 2, 2, 2)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start_button)
        buttons.addWidget(self.cancel_button)
        learn = QGroupBox("Learn from")
        QVBoxLayout(learn).addWidget(self.form)
        progress = QGroupBox("Progress")
        inside = QVBoxLayout(progress)
        inside.addLayout(buttons)
        inside.addWidget(self.bar)
        inside.addWidget(self.plot)
        inside.addWidget(self.results)
        column.addWidget(learn)
        column.addWidget(progress)
        column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(VerticalScroll(content), 1)
        layout.addWidget(self.status)


def _steps(source: Source, options: FineTuneOptions) -> Generator[Any, None, None]:
    """Give the run, so that it can be stopped, then each of its steps."""
    from napari_sam2.training.finetune import FineTuning

    run = FineTuning(source.read(), options)
    yield run
    yield from run.steps()


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
