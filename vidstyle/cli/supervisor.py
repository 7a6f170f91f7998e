"""Runs over several inputs in a process of their own, which may die without taking the run along.

A damaged file can crash a decoder, and the system kills a process when memory is short. The parent loads no
library that decodes: it starts a child for all inputs, and when that dies, the input it worked on is reported
as failed, and another child goes on with the others. A single input has no parent.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import click

from vidstyle.cli.apply_job import Job
from vidstyle.cli.journal import Journal
from vidstyle.cli.progress import open_screen
from vidstyle.cli.shared import complain
from vidstyle.errors import InputError, OutOfMemoryError, VidstyleError

_CRASHES = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGSYS", "SIGTRAP")
_WINDOWS_CRASH = 0xC0000000  # exit codes from here on are exceptions of the system
_SECONDS_OF_ONE_CTRL_C = 2.0


def supervise(job: Job) -> int:
    """Do the job in child processes; returns the exit code."""
    with TemporaryDirectory(prefix="vidstyle-") as folder:
        path = Path(folder) / "journal"
        (Path(folder) / "job").write_bytes(pickle.dumps(job))
        while True:
            code = _run_child(folder)
            name = _death(code)
            if name is None:
                return code if code >= 0 else 128 - code
            journal = Journal(path)
            _report(job, journal, name)
            if all(str(target) in journal.ended for _, target in job.pairs):
                if job.as_json:
                    journal.show(job.skipped, {})
                return journal.exit_code


def _run_child(folder: str) -> int:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path),
    }
    with (
        subprocess.Popen(
            [sys.executable, "-m", "vidstyle.cli.supervisor", folder], stdin=subprocess.PIPE, env=environment
        ) as child,
        _signals_go_to(child),
    ):
        code = child.wait()
    return code


@contextmanager
def _signals_go_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Within the block, Ctrl-C and SIGTERM end the child, which cleans up and whose exit code is taken."""

    def forward(number: int, frame: FrameType | None) -> None:
        if os.name == "posix":  # Windows gives a Ctrl-C to all processes of the console
            with suppress(ProcessLookupError):
                child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _death(code: int) -> str | None:
    """The name of what a process died of; None when it ended by itself or because it was asked to."""
    if code >= _WINDOWS_CRASH:
        return f"0x{code:08X}"
    if code >= 0:
        return None
    with suppress(ValueError):
        name = signal.Signals(-code).name
        return name if name in (*_CRASHES, "SIGKILL") else None
    return None


def _report(job: Job, journal: Journal, name: str) -> None:
    """Report the input that the child worked on as failed; all that remain where there is none."""
    source, target = journal.begun or ("", "")
    failure = _failure(source, name)
    if sys.stderr.isatty():
        click.echo(err=True)  # the bar stands there
    complain(str(failure))
    open_screen(job.progress).fail(str(failure))
    for one, its_target in job.pairs:
        is_met = str(its_target) == target if target else str(one) == source or not source
        if is_met and str(its_target) not in journal.ended:
            facts = {"source": str(one), "exit_code": failure.exit_code, "error": str(failure)}
            journal.fail(its_target, facts)


def _failure(source: str, name: str) -> VidstyleError:
    where = source or "vidstyle"
    if name == "SIGKILL":
        return OutOfMemoryError(
            f"{where}: the process was killed ({name}), as the system does when memory is short. "
            "Close other programs, or use a smaller clip."
        )
    return InputError(
        f"{where}: the process crashed ({name}); a decoder may not take this file. "
        "Convert it with another program first."
    )


def _work(folder: Path) -> int:
    """The child: do the job, but for what an earlier child has done."""
    from vidstyle.cli.reported import reported

    threading.Thread(target=_watch_parent, name="vidstyle-parent", daemon=True).start()
    _take_one_ctrl_c()
    job: Job = pickle.loads((folder / "job").read_bytes())
    return reported(lambda: job.run(Journal(folder / "journal")), job.as_json)


def _watch_parent() -> None:
    """End like after SIGTERM when the parent is gone: its end of the pipe is closed then."""
    with suppress(OSError):
        while os.read(0, 1):
            pass
    if os.name == "nt":  # os.kill would end it there at once, without cleaning up
        signal.raise_signal(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)


def _take_one_ctrl_c() -> None:
    """A terminal sends Ctrl-C to the child, and the parent forwards it: these two are one."""
    last = -_SECONDS_OF_ONE_CTRL_C

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= _SECONDS_OF_ONE_CTRL_C:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)


if __name__ == "__main__":
    from vidstyle.cli.startup import leave, own_process

    with own_process():
        ended_with = _work(Path(sys.argv[1]))
    leave(ended_with)
    sys.exit(ended_with)
