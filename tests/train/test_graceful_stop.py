"""Signals between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from vidstyle.train.graceful_stop import GracefulStop


@pytest.fixture(autouse=True)
def usual_handler() -> Iterator[None]:
    """Ctrl-C is a KeyboardInterrupt, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_signal_waits_until_it_is_obeyed() -> None:
    """Then it is the KeyboardInterrupt that it would have been, and handlers are as before."""
    before = signal.getsignal(signal.SIGINT)
    with GracefulStop() as stop:
        assert not stop.requested
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            stop.obey()
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_signal_acts_at_once() -> None:
    """For those who do not want to wait."""
    before = signal.getsignal(signal.SIGTERM)
    with GracefulStop():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_at_the_very_end_is_not_lost() -> None:
    """It acts when the work is through."""
    with pytest.raises(KeyboardInterrupt), GracefulStop():
        signal.raise_signal(signal.SIGINT)


def test_an_error_goes_before_a_signal() -> None:
    """What went wrong is what the user should see."""

    def fail() -> None:
        with GracefulStop():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fail()


def test_other_threads_are_left_alone() -> None:
    """They get no signals and may not ask for them."""
    seen = []

    def work() -> None:
        with GracefulStop() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_an_ignored_signal_stays_ignored() -> None:
    """As under nohup."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with GracefulStop() as stop:
        signal.raise_signal(signal.SIGINT)
        assert not stop.requested
