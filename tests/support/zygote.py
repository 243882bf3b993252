"""Processes of the target and of its companion that need no time to import anything.

Most of a run over ten rows is the interpreter's start. A zygote is a process that has imported both programs and has
run neither. For each run it forks: the child gets descriptors, arguments, environment and folder as a new process
would, and begins at the same `main`. `tests/support/test_zygote.py` compares such runs with real ones. A test of how a
process starts must start one.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, AnyStr, Final, Generic, NoReturn, cast

from typing_extensions import Self

PROGRAMS: Final[Mapping[str, str]] = {
    "target-pinterest-audience": "target_pinterest_audience.main",
    "pinterest-audience": "target_pinterest_audience.companion.main",
}
"""Program → the module whose function `main` it is."""

_LATER: Final = (
    "target_pinterest_audience.singer.command",
    "target_pinterest_audience.ledger.sqlite.sqlite_ledger",
    "target_pinterest_audience.reconcile.session",
    "target_pinterest_audience.companion.session",
    "target_pinterest_audience.ledger.postgres.postgres_ledger",
    "pyarrow.parquet",
)
"""What the programs import only when they need it, and many runs do."""

_START: Final = "from tests.support.zygote import serve; serve()"
"""A program of no module: click names a program after the module that is run."""

_MOST_BYTES: Final = 1 << 20


class Process:
    """A run of a program that a zygote has forked."""

    def __init__(self, pid: int, ended: socket.socket) -> None:
        """Take over a child.

        Args:
            pid: its number.
            ended: where the zygote writes the child's exit code.
        """
        self.pid = pid
        self._ended = ended
        self._code: int | None = None

    def wait(self, timeout: float) -> int:
        """Return the exit code, negative after a signal; as `subprocess.Popen.wait` does.

        Raises:
            TimeoutExpired: it did not end in time.
        """
        if self._code is None:
            self._ended.settimeout(timeout)
            try:
                self._code = int(self._ended.recv(16))
            except (TimeoutError, BlockingIOError):
                name = f"process {self.pid}"
                raise subprocess.TimeoutExpired(name, timeout) from None
            self._ended.close()
        return self._code

    def poll(self) -> int | None:
        """Return the exit code; None as long as the process runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Kill the process, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


class Zygote:
    """Forks processes of the two programs. It ends with the process that started it."""

    def __init__(self) -> None:
        """Start it; the first run waits until it has imported everything."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._control = ours
        self._asking = threading.Lock()
        atexit.register(self.close)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def close(self) -> None:
        """End it."""
        self._control.close()
        self._process.wait()

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        descriptors: tuple[int, int, int],
        env: Mapping[str, str],
        cwd: Path | None = None,
    ) -> Process:
        """Fork a process.

        Args:
            program: one of `PROGRAMS`.
            arguments: its command line, without its name.
            descriptors: its standard input, output and error.
            env: its environment.
            cwd: its working directory, if not ours.
        """
        ended, theirs = socket.socketpair()
        request = json.dumps([program, list(arguments), dict(env), str(cwd or Path.cwd())]).encode()
        assert len(request) < _MOST_BYTES
        with theirs, self._asking:
            socket.send_fds(self._control, [request], [*descriptors, theirs.fileno()])
            pid = int(self._control.recv(16))
        return Process(pid, ended)

    def run(
        self,
        program: str,
        arguments: Sequence[str],
        stdin: bytes,
        env: Mapping[str, str],
        cwd: Path | None = None,
        timeout: float = 120,
    ) -> tuple[int, bytes, bytes]:
        """Run a program to its end, with standard input from a pipe.

        Returns:
            Its exit code, its standard output and its standard error.
        """
        (given, feeding), (reading_out, out), (reading_err, err) = os.pipe(), os.pipe(), os.pipe()
        try:
            process = self.start(program, arguments, (given, out, err), env, cwd)
        finally:
            for each in (given, out, err):
                os.close(each)
        with ThreadPoolExecutor(3) as helpers:
            helpers.submit(_feed, feeding, stdin)
            texts = [helpers.submit(_all_of, each) for each in (reading_out, reading_err)]
            try:
                code = process.wait(timeout)
            finally:
                process.kill()
        return code, texts[0].result(), texts[1].result()


class PipedProcess(Generic[AnyStr]):
    """A run of a program with pipes to its standard streams, used like `subprocess.Popen`."""

    def __init__(self, process: Process, pipes: tuple[IO[AnyStr], IO[AnyStr], IO[AnyStr]]) -> None:
        """Take over a process, and our ends of the pipes to its standard input, output and error."""
        self._process = process
        self.pid = process.pid
        self.stdin: IO[AnyStr] = pipes[0]
        self.stdout: IO[AnyStr] = pipes[1]
        self.stderr: IO[AnyStr] = pipes[2]

    @property
    def returncode(self) -> int | None:
        """The exit code, negative after a signal; None as long as the process runs."""
        return self._process.poll()

    def poll(self) -> int | None:
        """Return the exit code; None as long as the process runs."""
        return self._process.poll()

    def wait(self, timeout: float = 120) -> int:
        """Wait for the end, and return the exit code."""
        return self._process.wait(timeout)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, text: AnyStr | None = None, timeout: float = 120) -> tuple[AnyStr, AnyStr]:
        """Write a text, end the input, and return what the process writes until it ends."""
        with contextlib.suppress(BrokenPipeError):
            if text is not None:
                self.stdin.write(text)
            self.stdin.close()
        with ThreadPoolExecutor(2) as readers:
            written = [readers.submit(_rest_of, each) for each in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            return written[0].result(), written[1].result()

    def __enter__(self) -> Self:
        """Begin a block that waits for the end of the process."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the pipes, and wait."""
        for each in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(BrokenPipeError):
                each.close()
        self.wait()


def _rest_of(pipe: IO[AnyStr]) -> AnyStr:
    """Return what is left in a pipe, up to its end, and close it."""
    empty: Any = "" if isinstance(pipe, io.TextIOBase) else b""
    if pipe.closed:
        return cast("AnyStr", empty)
    with pipe:
        return pipe.read()


@functools.cache
def shared_zygote() -> Zygote:
    """Return the zygote of this process, which ends with it."""
    return Zygote()


def start_with_pipes(
    program: str, arguments: Sequence[str], env: Mapping[str, str], cwd: Path | None = None
) -> PipedProcess[bytes]:
    """Start a program with pipes to its standard streams; see `Zygote.start`."""
    process, descriptors = _start_with_pipes(program, arguments, env, cwd)
    stdin, stdout, stderr = descriptors
    return PipedProcess(process, (os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"), os.fdopen(stderr, "rb")))


def start_with_text_pipes(program: str, arguments: Sequence[str], env: Mapping[str, str]) -> PipedProcess[str]:
    """Start a program like `start_with_pipes`, with pipes of text."""
    process, descriptors = _start_with_pipes(program, arguments, env, None)
    stdin, stdout, stderr = descriptors
    return PipedProcess(
        process,
        (
            os.fdopen(stdin, "w", encoding="utf-8"),
            os.fdopen(stdout, encoding="utf-8"),
            os.fdopen(stderr, encoding="utf-8"),
        ),
    )


def _start_with_pipes(
    program: str, arguments: Sequence[str], env: Mapping[str, str], cwd: Path | None
) -> tuple[Process, tuple[int, int, int]]:
    (given, feeding), (reading_out, out), (reading_err, err) = os.pipe(), os.pipe(), os.pipe()
    try:
        process = shared_zygote().start(program, arguments, (given, out, err), env, cwd)
    finally:
        for each in (given, out, err):
            os.close(each)
    return process, (feeding, reading_out, reading_err)


def _feed(descriptor: int, text: bytes) -> None:
    """Write to a pipe, as far as somebody reads it."""
    with os.fdopen(descriptor, "wb", buffering=0) as pipe:
        try:
            rest = memoryview(text)
            while rest:
                rest = rest[pipe.write(rest) :]
        except BrokenPipeError:
            pass


def _all_of(descriptor: int) -> bytes:
    """Return what is written into a pipe until nobody has it open for writing."""
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()


def serve() -> None:
    """Import the programs, and serve whoever has the other end of the socket that the command line names."""
    for module in (*PROGRAMS.values(), *_LATER):
        importlib.import_module(module)
    # apprise imports its hundred services with the first address.
    from apprise import Apprise  # noqa: PLC0415 - only the zygote needs it, not whoever imports its client

    Apprise().add("json://127.0.0.1")
    # A collection in a child would touch, and so copy, every page.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        _serve(control)


def _serve(control: socket.socket) -> None:
    """Fork whenever that is asked for, and report how each child ended, until nobody asks any more."""
    running: dict[int, socket.socket] = {}
    woken, waking = socket.socketpair()
    woken.settimeout(0)
    waking.settimeout(0)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking.fileno())
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is woken:
                    woken.recv(4096)
                    _reap(running)
                    continue
                request, descriptors, _, _ = socket.recv_fds(control, _MOST_BYTES, 4)
                if not request:
                    return
                pid = os.fork()
                if pid == 0:
                    for each in (control, woken, waking, *running.values()):
                        each.close()
                    program, arguments, env, cwd = json.loads(request)
                    _begin(program, arguments, env, cwd, descriptors)
                for descriptor in descriptors[:3]:
                    os.close(descriptor)
                running[pid] = socket.socket(fileno=descriptors[3])
                control.send(str(pid).encode())


def _reap(running: dict[int, socket.socket]) -> None:
    """Report the exit codes of the children that have ended."""
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with running.pop(pid) as asker:
                asker.send(str(os.waitstatus_to_exitcode(status)).encode())


def _begin(program: str, arguments: list[str], env: dict[str, str], cwd: str, descriptors: list[int]) -> NoReturn:
    """Be the program, from its first line to its end."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for place, each in enumerate(descriptors[:3]):
            os.dup2(each, place)
        for each in descriptors:
            os.close(each)
        for name, mode, descriptor in (("stdin", "r", 0), ("stdout", "w", 1), ("stderr", "w", 2)):
            errors, buffering = ("backslashreplace", 1) if name == "stderr" else ("strict", -1)
            setattr(sys, name, open(descriptor, mode, buffering, "utf-8", errors, closefd=False))  # noqa: SIM115
        os.environ.clear()
        os.environ.update(env)
        os.chdir(cwd)
        sys.argv = [program, *arguments]
        main: Callable[[], Any] = importlib.import_module(PROGRAMS[program]).main
        main()
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does with what nobody catches
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
