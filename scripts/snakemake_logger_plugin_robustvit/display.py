"""Two ways to show a run: a live panel on a terminal, plain lines anywhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from snakemake_logger_plugin_robustvit.wording import JobLine, Status, status_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

STATUS_EVERY_SECONDS = 30.0
REFRESHES_PER_SECOND = 2
BAR_WIDTH = 24
STYLES = {"good": "green", "bad": "red", "warning": "yellow", "": ""}
SIGNS = {"good": "✓ ", "bad": "✗ "}


class Display(Protocol):
    """Shows lines that stay and, from `begin` to `end`, a status that changes."""

    def line(self, text: str, kind: str = "") -> None:
        """Show a text that stays; `kind` is "good", "bad", "warning" or empty."""

    def begin(self, status: Callable[[], Status]) -> None:
        """Start showing what `status` returns."""

    def end(self) -> None:
        """Stop showing the status."""


class PlainDisplay:
    """Lines for files, pipes and continuous integration; the status every 30 s."""

    def __init__(self, stream: TextIO, every: float = STATUS_EVERY_SECONDS) -> None:
        self._stream, self._every = stream, every
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def line(self, text: str, kind: str = "") -> None:
        """Write a text and flush it, so that a pipe shows it at once."""
        sign = SIGNS.get(kind, "")
        try:
            self._stream.write(f"{sign}{text}\n")
        except UnicodeEncodeError:
            # Without a UTF-8 locale: better a question mark than no message.
            self._stream.write(f"{sign}{text}\n".encode("ascii", "replace").decode("ascii"))
        self._stream.flush()

    def begin(self, status: Callable[[], Status]) -> None:
        """Start the thread that writes the status."""
        self.end()
        self._stop.clear()
        self._thread = threading.Thread(target=self._repeat, args=(status,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
            self._thread = None

    def _repeat(self, status: Callable[[], Status]) -> None:
        while not self._stop.wait(self._every):
            self.line(f"… {status_text(status())}")


class LiveDisplay:
    """A panel of a few lines at the bottom of the terminal; finished jobs scroll above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = None

    def line(self, text: str, kind: str = "") -> None:
        """Print a text above the panel."""
        from rich.text import Text

        row = Text(f"{SIGNS.get(kind, '')}{text}", style=STYLES[kind])
        self._console.print(row, soft_wrap=True)

    def begin(self, status: Callable[[], Status]) -> None:
        """Show the panel."""
        from rich.live import Live

        self.end()
        self._live = Live(
            console=self._console,
            get_renderable=lambda: render(status()),
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
        )
        self._live.start()

    def end(self) -> None:
        """Take the panel away and give the cursor back."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def render(status: Status) -> RenderableType:
    """Draw the status: an overall bar, then one line per running job."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1))
    head.add_row(
        ProgressBar(total=max(status.total, 1), completed=status.done, width=BAR_WIDTH),
        Text(status.summary, style="bold", overflow="ellipsis", no_wrap=True),
    )
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column(width=BAR_WIDTH // 2)
    table.add_column(ratio=4, no_wrap=True, overflow="ellipsis")
    for line in status.jobs:
        table.add_row(Text(f"  {line.label}"), _bar(line), Text(_detail(line), style="dim"))
    rows = [head, table]
    if status.hidden:
        rows.append(Text(f"  and {status.hidden} more", style="dim"))
    return Group(*rows)


def _bar(line: JobLine) -> RenderableType:
    from rich.progress_bar import ProgressBar

    if line.fraction is None:
        return ""
    return ProgressBar(total=1.0, completed=line.fraction, width=BAR_WIDTH // 2)


def _detail(line: JobLine) -> str:
    percent = "" if line.fraction is None else f"{line.fraction:.0%}, "
    note = f", {line.note}" if line.note else ""
    return f"{percent}{line.left}, {line.amount}{note}"


def choose_display(stream: TextIO, *, nocolor: bool, terminal: bool) -> Display:
    """Return the live display for a terminal, else the plain one."""
    if not terminal:
        return PlainDisplay(stream)
    from rich.console import Console

    return LiveDisplay(Console(file=stream, no_color=nocolor or None, highlight=False))
