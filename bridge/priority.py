"""First in line for the processor, where the system allows it: asked for, never required.

Each system has ways of its own, tried in order; the first that works is enough:

    Linux     SCHED_FIFO ──► rtkit over D-Bus (by `busctl` or `gdbus`)
    macOS     the thread's time constraint ──► quality of service "user interactive"
    Windows   multimedia class "Pro Audio", high priority class, a timer of 1 ms

The calling thread alone is raised: threads and processes begun later stay ordinary. The model
process asks for a larger share than ordinary ones (a negative niceness), and no more.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

log = logging.getLogger(__name__)

Way: TypeAlias = Callable[[], str]  # says what was had; raises OSError with the reason why not

PRIORITY = 4  # of 1..99: above all that is ordinary, below JACK (10) and its clients' threads (5)
NICENESS = -10  # of -20..19: the model's, so that a busy desktop does not cost it a measure
BUS_TIMEOUT_S = 0.4
RUN_SOFT_US, RUN_HARD_US = 100_000, 200_000  # rtkit wants a bound of 200 ms at most
_RTKIT = ("org.freedesktop.RealtimeKit1", "/org/freedesktop/RealtimeKit1")
_METHOD = "MakeThreadRealtimeWithPID"

_ADVICE = {
    "linux": "add `@audio - rtprio 95` to /etc/security/limits.d/audio.conf, "
    "join the group audio and log in again",
    "darwin": "close what keeps the processor busy",
    "win32": "close what keeps the processor busy",
}


def ask_for_real_time() -> str:
    """Raise the calling thread's priority as far as allowed; returns one line for the log.

    Never raises, and takes half a second at the very most. To be called by the main thread.
    """
    return choose(_ways(), _ADVICE.get(sys.platform, "close what keeps the processor busy"))


def ask_for_a_larger_share() -> None:
    """Have this process run before ordinary ones, where that is allowed; it stays preemptible."""
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(NICENESS)


def choose(ways: Sequence[Way], advice: str) -> str:
    """Try each way until one works: a line saying which, or why none did and what to do."""
    reasons = []
    for way in ways:
        try:
            return f"real-time priority: {way()}"
        except Exception as error:  # priority is a gift: nothing about it may stop the music
            reasons.append(str(error).partition("\n")[0] or type(error).__name__)
    why = "; ".join(reasons) or f"none is known on {sys.platform}"
    return f"no real-time priority ({why}): {advice}"


def _ways() -> Sequence[Way]:
    if sys.platform == "linux":
        return (_fifo, _rtkit)
    if sys.platform == "darwin":
        return (_time_constraint, _quality_of_service)
    if sys.platform == "win32":
        return (_pro_audio,)
    return ()


def bus_command(program: str, process: int, thread: int) -> list[str]:
    """The command that asks rtkit to raise a thread, by the program `busctl` or `gdbus`."""
    name, path = _RTKIT
    numbers = [str(process), str(thread), str(PRIORITY)]
    if os.path.basename(program) == "busctl":
        call = ["--system", f"--timeout={BUS_TIMEOUT_S}", "call", name, path, name, _METHOD, "ttu"]
        return [program, *call, *numbers]
    call = ["call", "--system", "--dest", name, "--object-path", path]
    return [program, *call, "--method", f"{name}.{_METHOD}", *numbers]


if sys.platform == "linux":

    def _fifo() -> str:
        """The scheduler's own real-time class, for root and for who has `rtprio`."""
        try:
            policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(0, policy, os.sched_param(PRIORITY))
        except PermissionError:
            raise OSError("SCHED_FIFO is not permitted") from None
        return f"SCHED_FIFO {PRIORITY}"

    def _rtkit() -> str:
        """The desktop's broker, which raises a thread that promises not to run on and on."""
        program = shutil.which("busctl") or shutil.which("gdbus")
        if program is None:
            raise OSError("rtkit: there is no busctl or gdbus to ask it with")
        if threading.current_thread() is not threading.main_thread():
            raise OSError("rtkit: asked by a thread that gets no signals")
        _bound_run()
        command = bus_command(program, os.getpid(), threading.get_native_id())
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=BUS_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise OSError("rtkit does not answer") from None
        if done.returncode != 0:
            raise OSError(f"rtkit: {done.stderr.strip()}")
        return f"rtkit {PRIORITY}"

    def _bound_run() -> None:
        """Promise to block now and then: the system stops real-time threads that do not.

        A signal comes after 100 ms without a pause and the end after 200 ms, so at the signal
        the thread becomes an ordinary one.
        """
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
        bounds = [(soft, RUN_SOFT_US), (hard, RUN_HARD_US)]
        limits = [most if now == resource.RLIM_INFINITY else min(now, most) for now, most in bounds]
        signal.signal(signal.SIGXCPU, _step_down)
        resource.setrlimit(resource.RLIMIT_RTTIME, (limits[0], limits[1]))

    def _step_down(_number: int, _frame: object) -> None:
        policy = os.SCHED_OTHER | os.SCHED_RESET_ON_FORK  # that flag only root may take back
        os.sched_setscheduler(0, policy, os.sched_param(0))
        log.warning("real-time priority given up: 100 ms without a pause")


if sys.platform == "darwin":

    class _TimeConstraint(ctypes.Structure):
        """`thread_time_constraint_policy` of mach/thread_policy.h, times in its own units."""

        _fields_ = [
            ("period", ctypes.c_uint32),
            ("computation", ctypes.c_uint32),
            ("constraint", ctypes.c_uint32),
            ("preemptible", ctypes.c_int32),
        ]

    def _time_constraint() -> str:
        """2 ms of work in every 10 ms, done within 5 ms of being due."""
        system = ctypes.CDLL(None)
        base = (ctypes.c_uint32 * 2)()  # nanoseconds = units * base[0] / base[1]
        system.mach_timebase_info(ctypes.byref(base))
        units = [ms * 1_000_000 * base[1] // base[0] for ms in (10, 2, 5)]
        policy = _TimeConstraint(*units, 1)
        system.pthread_self.restype = ctypes.c_void_p
        system.pthread_mach_thread_np.argtypes = [ctypes.c_void_p]
        thread = system.pthread_mach_thread_np(system.pthread_self())
        failed = system.thread_policy_set(thread, 2, ctypes.byref(policy), 4)
        if failed:
            raise OSError(f"no time constraint, mach error {failed}")
        return "time constraint 5 ms"

    def _quality_of_service() -> str:
        failed = ctypes.CDLL(None).pthread_set_qos_class_self_np(0x21, 0)
        if failed:
            raise OSError(f"no quality of service: {os.strerror(failed)}")
        return "user interactive"


if sys.platform == "win32":

    def _pro_audio() -> str:
        """The multimedia scheduler's class for sound; what was changed is put back at the end.

        A high priority class is not handed on to children.
        """
        kernel, timer = ctypes.WinDLL("kernel32"), ctypes.WinDLL("winmm")
        had = []
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.SetPriorityClass.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        if kernel.SetPriorityClass(kernel.GetCurrentProcess(), 0x80):
            atexit.register(kernel.SetPriorityClass, kernel.GetCurrentProcess(), 0x20)
            had.append("high priority class")
        if timer.timeBeginPeriod(1) == 0:
            atexit.register(timer.timeEndPeriod, 1)
            had.append("timer of 1 ms")
        had += _multimedia_class()
        if not had:
            raise OSError("Windows refused priority class, timer and Pro Audio")
        return ", ".join(had)

    def _multimedia_class() -> list[str]:
        scheduler = ctypes.WinDLL("avrt")
        scheduler.AvSetMmThreadCharacteristicsW.argtypes = [ctypes.c_wchar_p, ctypes.c_void_p]
        scheduler.AvSetMmThreadCharacteristicsW.restype = ctypes.c_void_p
        scheduler.AvRevertMmThreadCharacteristics.argtypes = [ctypes.c_void_p]
        index = ctypes.c_uint32(0)
        task = scheduler.AvSetMmThreadCharacteristicsW("Pro Audio", ctypes.byref(index))
        if not task:
            return []
        atexit.register(scheduler.AvRevertMmThreadCharacteristics, task)
        return ["Pro Audio"]
