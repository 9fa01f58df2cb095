"""Thirty-nine ways to fail, in a constructor, a step or a phase after it."""

import contextlib
import multiprocessing
import os
import queue
import select
import signal
import socket
import subprocess
import threading
import time

import numpy as np
from failing.process import Failing
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class UnspeakableError(Exception):
    """An error without a text."""

    def __str__(self):
        raise RuntimeError("no text")


class NeedyError(Exception):
    """An error that cannot be made again from its arguments."""

    def __init__(self, *, cause):
        super().__init__(f"because of {cause}")
        self.anchor = lambda: None


class FarewellError(BaseException):
    """No Exception."""


def throw(error):
    raise error


def deeper():
    return deeper()


def swallowing():
    while True:
        try:  # noqa: SIM105
            sum(range(1000))
        except:  # noqa: E722
            pass


def suppressing():
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(60)


def computing():
    square = np.ones((200, 200))
    while True:
        square = square @ square / 200


def joined(kind):
    worker = kind(target=time.sleep, args=(60,), daemon=True)
    worker.start()
    worker.join()


def connecting():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.accept()


def spinning():
    while True:
        pass


RAISES = {
    "value error": lambda: throw(ValueError("wrong")),
    "text of several lines": lambda: throw(ValueError("wrong\nin two lines")),
    "no text": lambda: throw(UnspeakableError()),
    "needs keywords": lambda: throw(NeedyError(cause="that")),
    "stop iteration": lambda: throw(StopIteration(3)),
    "generator exit": lambda: throw(GeneratorExit()),
    "system exit": lambda: throw(SystemExit(3)),
    "exit without an error": lambda: throw(SystemExit(0)),
    "keyboard interrupt": lambda: throw(KeyboardInterrupt()),
    "base exception": lambda: throw(FarewellError("farewell")),
    "recursion": deeper,
    "memory": lambda: throw(MemoryError()),
    "assertion": lambda: throw(AssertionError()),
    "os error": lambda: os.stat("/nowhere/at/all"),
    "lookup": lambda: {}["missing"],
    "import": lambda: __import__("no_such_module_anywhere"),
    "attribute": lambda: None.missing,
    "numpy": lambda: np.ones(2) @ np.ones(3),
    "a class": lambda: throw(ZeroDivisionError),
    "of an error": lambda: throw(ValueError("second")) if not {} else None,
}
HANGS = {
    "loops": spinning,
    "computes": computing,
    "sleeps": lambda: time.sleep(60),
    "sleeps often": lambda: [time.sleep(0.01) for _ in iter(int, 1)],
    "waits for a lock": lambda: [lock := threading.Lock(), lock.acquire(), lock.acquire()],
    "waits for an event": lambda: threading.Event().wait(),
    "waits for a queue": lambda: queue.Queue().get(),
    "waits for a pipe": lambda: os.read(os.pipe()[0], 1),
    "waits for a connection": connecting,
    "waits for a message of multiprocessing": lambda: [
        ends := multiprocessing.Pipe(),
        ends[0].recv(),
    ],
    "waits for nothing": lambda: select.select([], [], []),
    "waits for a program": lambda: subprocess.run(["sleep", "60"], check=False),
    "waits for a thread": lambda: joined(threading.Thread),
    "waits for a signal": signal.pause,
    "catches everything": swallowing,
    "suppresses everything": suppressing,
}
DIES = {  # a program of one OS process dies with them
    "ends": lambda: os._exit(0),
    "dies": lambda: os._exit(7),
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
}
WAYS = {"": lambda: None, **RAISES, **HANGS, **DIES}


@implements(proc=Failing, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyFailingModel(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.fail_in("constructor")

    def fail_in(self, place):
        if self.proc_params["place"] == place and (place == "constructor" or self.time_step == 2):
            WAYS[self.proc_params["way"]]()

    def run_spk(self):
        self.out.send(np.ones(1))
        self.fail_in("run_spk")
        self.inp.recv()

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.fail_in("run_post_mgmt")
