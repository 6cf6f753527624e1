"""Signals that end a process as Ctrl-C does."""

import os
import signal
import threading
import time

import pytest

from keras_rawaudio.training import interrupt
from keras_rawaudio.training.interrupt import ending_as_ctrl_c


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_clear_up_as_ctrl_c(number):
    before = signal.signal(number, signal.SIG_DFL)  # nohup ignores SIGHUP
    try:
        with pytest.raises(KeyboardInterrupt), ending_as_ctrl_c():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_while_an_object_is_removed_is_not_lost(monkeypatch, capsys):
    """Nor is it where another one follows at once."""

    class Removed:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    class Timer(threading.Timer):
        def start(self):
            super().start()
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(threading, "Timer", Timer)

    def work():
        Removed()
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt), ending_as_ctrl_c():
        work()
    assert capsys.readouterr().err == ""


def test_a_repeated_signal_does_not_stop_what_clears_up(monkeypatch):
    cleared = []

    def work():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)
            cleared.append(1)

    with pytest.raises(KeyboardInterrupt), ending_as_ctrl_c():
        work()
    assert cleared == [1]
    monkeypatch.setattr(interrupt, "REPEATED", -1.0)  # as if it came later
    with pytest.raises(KeyboardInterrupt), ending_as_ctrl_c():
        work()
    assert cleared == [1]


def test_an_ignored_signal_stays_ignored(monkeypatch):
    """As SIGHUP under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_as_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
