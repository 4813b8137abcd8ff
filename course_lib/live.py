"""Progress in an open notebook or a terminal, drawn in place. Only `training.fit` uses it."""

import base64
import sys
import time

import keras
import pandas as pd
from IPython.display import display, update_display

from course_lib import plots


class LiveProgress(keras.callbacks.Callback):
    """A bar, rate, remaining time and curve that replace themselves; one figure stays.

    Args:
        clock: the callback that counts steps and keeps the history (`training.fit` has one).
        frontend: `"notebook"` or `"terminal"`, see `runtime.frontend`.
    """

    def __init__(self, clock, frontend):
        super().__init__()
        self.clock, self.frontend = clock, frontend
        self.points, self.handle = [], None
        self.next_update, self.started = 0.0, time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Show where training stands, at most twice a second."""
        now = time.perf_counter()
        if now < self.next_update or not self.clock.logs:
            return
        passed = self.clock.steps / self.clock.steps_per_epoch
        self.points.append({"epoch": passed, **self.clock.logs})
        if self.frontend == "notebook":
            self._draw()
        else:
            print(f"\r{self._status()}", end="", flush=True)
        cost = time.perf_counter() - now
        self.next_update = time.perf_counter() + max(0.5, 20 * cost)  # at most a 20th of the time

    def finish(self):
        """Leave the final figure in a notebook, or end the line in a terminal."""
        if self.frontend == "terminal":
            if self.points:
                print(f"\r{self._status()}", file=sys.stdout, flush=True)
            return
        if not self.points:
            return
        rows = self.clock.rows
        last = rows[-1] if rows else self.points[-1]
        history = rows if len(rows) > 1 else self._within_epoch(last)
        fig = plots.curves(pd.DataFrame(history))
        picture = base64.b64encode(plots.png(fig)).decode()
        text = f"Training stopped at a loss of {last['loss']:.4g} after {self.clock.steps:,} steps."
        width = int(fig.get_size_inches()[0] * 96)
        bundle = {"image/png": picture, "text/plain": text}
        self._show(bundle, {"image/png": {"alt": text, "width": width}})

    def _within_epoch(self, last):
        """One epoch has no curve of its own: its parts, and its end, which has the validation."""
        passed = self.clock.steps / self.clock.steps_per_epoch
        return [*(p for p in self.points if p["epoch"] < passed), {**last, "epoch": passed}]

    def _draw(self):
        html = f"<pre>{self._status()}</pre>"
        if len(self.points) > 1:
            fig = plots.curves(pd.DataFrame(self.points))
            picture = base64.b64encode(plots.png(fig, dpi=72)).decode()
            html += f'<img alt="Loss so far" src="data:image/png;base64,{picture}">'
        self._show({"text/html": html, "text/plain": self._status()}, {})

    def _show(self, bundle, metadata):
        if self.handle is None:
            self.handle = display(bundle, metadata=metadata, raw=True, display_id=True)
        else:
            update_display(bundle, metadata=metadata, raw=True, display_id=self.handle.display_id)

    def _status(self):
        clock = self.clock
        spent = time.perf_counter() - self.started
        share = clock.steps / clock.total_steps
        bar = "█" * round(20 * share) + "░" * (20 - round(20 * share))
        rate = clock.steps * clock.num_examples / clock.steps_per_epoch / spent
        left = spent / share - spent if share else float("nan")
        logs = clock.logs or (clock.rows[-1] if clock.rows else {})
        shown = {name: logs[name] for name in logs if name not in ("epoch", "seconds")}
        numbers = "  ".join(f"{name} {number:.4f}" for name, number in shown.items())
        epoch = f"epoch {clock.epoch + 1}/{clock.epochs}"
        return f"{bar} {epoch}  {rate:,.0f} examples/s  {left:.0f} s left  {numbers}"
