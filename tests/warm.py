"""Runs Python for a project in a new process that has the libraries imported already.

A command spends most of its time on importing Flask, SQLAlchemy and Alembic. Here one process
imports them and forks for each command: the command is a process of its own, runs the project's
own code from its files, with its own environment, folder and exit, only sooner. Tests of what a start
imports and of interpreters use `Project.run`, a cold start.
"""

import atexit
import ctypes
import hashlib
import json
import marshal
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import types
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import NoReturn

LIBRARIES = (
    "flask.cli",
    "flask_migrate.cli",
    "flask_sqlalchemy.cli",
    "flask_talisman",
    "flask_wtf",
    "pythonjsonlogger.json",
    "werkzeug.middleware.proxy_fix",
    "alembic.command",
    "alembic.autogenerate",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.mysql.pymysql",
    "psycopg",
    "pymysql",
    "libcst",
    "mako.template",
    "logging.config",
    "flask_keel.cli",
    # cookiecutter's, which itself reads HOME when it is imported
    "arrow",
    "binaryornot.check",
    "jinja2.ext",
    "requests",
    "rich.prompt",
    "slugify",
    "yaml",
)


class Warm:
    """The process that forks. One command at a time."""

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None

    def run(self, command: list[str], cwd: Path, env: dict[str, str], timeout: float):
        """Run Python; return its exit code and what it wrote.

        :param command: the interpreter, then a script, ``-c`` and code, or ``-m`` and a module
        :raises subprocess.TimeoutExpired: after killing it
        """
        with tempfile.TemporaryDirectory(prefix="warm-") as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            order = {"command": command, "cwd": str(cwd), "env": env, "timeout": timeout}
            order |= {"out": str(out), "err": str(err), "patterns": str(Path(folder, "patterns"))}
            answer = self.order(order)
            said = out.read_text(), err.read_text()
        if answer is None:
            raise subprocess.TimeoutExpired(command, timeout, *said)
        return answer, *said

    def order(self, order: dict) -> int | None:
        """Hand an order to the process, and give its answer."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


WARM = Warm()
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


class Started(subprocess.Popen):
    """A Python that was started warm and goes on: a child of this process, as if it came from here."""

    def _execute_child(self, args, executable, preexec, close, passed, cwd, env, *others) -> None:
        ends = others[3:9]
        order = {"command": args, "cwd": str(cwd), "env": env}
        for name, end in (("in", ends[0]), ("out", ends[3]), ("err", ends[5])):
            order[name] = os.devnull if end == -1 else f"/proc/{os.getpid()}/fd/{end}"
        prctl = ctypes.CDLL(None).prctl
        # who is left by its parent becomes a child of this process
        prctl(SUBREAPER, 1, 0, 0, 0)
        try:
            self.pid = WARM.order(order)
        finally:
            prctl(SUBREAPER, 0, 0, 0, 0)
        self._child_created = True
        self._close_pipe_fds(*ends)


def serve() -> dict | None:
    """Fork for each order; return the order in the child, None at the end in the parent."""
    for line in sys.stdin:
        order = json.loads(line)
        if "timeout" in order:
            child = os.fork()
            if child == 0:
                become(order)
                return order
            answer = _wait(child, order["timeout"])
            learn(order["patterns"])
        else:
            answer = _left(order)
            if answer == 0:
                return order
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return None


def _left(order: dict) -> int:
    """Fork a process whose parent is gone: 0 in it; here its number, as soon as it has its files."""
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.fork():
            os._exit(0)
        become(order)
        os.write(writer, str(os.getpid()).encode())
        os.close(reader)
        os.close(writer)
        return 0
    os.close(writer)
    os.waitpid(parent, 0)
    child = int(os.read(reader, 20))
    os.close(reader)
    return child


def _wait(child: int, timeout: float) -> int | None:
    def expired(*_) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        _, status = os.waitpid(child, 0)
    except TimeoutError:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return os.waitstatus_to_exitcode(status)


def compile_once(folder: Path) -> None:
    """Let Python find the code of what an earlier command compiled, by its text, wherever it lay.

    Commands here write no pyc, since one is known by the second in which its source was written.
    """
    compiled = SourceFileLoader.source_to_code

    def source_to_code(self: SourceFileLoader, data: bytes, path: str, **options):
        if not isinstance(data, bytes):
            return compiled(self, data, path, **options)
        kept = folder / hashlib.sha256(data).hexdigest()
        with suppress(FileNotFoundError):
            return placed(marshal.loads(kept.read_bytes()), path)
        code = compiled(self, data, path, **options)
        with suppress(OSError):
            written = kept.with_suffix(f".{os.getpid()}")
            written.write_bytes(marshal.dumps(code))
            written.replace(kept)
        return code

    SourceFileLoader.source_to_code = source_to_code


def placed(code: types.CodeType, path: str) -> types.CodeType:
    """The same code, out of another file."""
    inner = (placed(it, path) if isinstance(it, types.CodeType) else it for it in code.co_consts)
    return code.replace(co_filename=path, co_consts=tuple(inner))


def teach(file: str, known: set) -> None:
    """Tell the parent the regular expressions that are new here, so that the next has them compiled."""
    new = [(it, int(flags)) for kind, it, flags in set(re._cache) - known if kind in (str, bytes)]
    if new:
        Path(file).write_bytes(marshal.dumps(new))


def learn(file: str) -> None:
    with suppress(FileNotFoundError, EOFError, ValueError):
        for pattern, flags in marshal.loads(Path(file).read_bytes()):
            re.compile(pattern, flags)


def become(order: dict) -> None:
    """Make this child the process that was ordered."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.setsid()
    flags = os.O_WRONLY | os.O_CREAT
    for number, source in ((0, order.get("in", os.devnull)), (1, order["out"]), (2, order["err"])):
        # the first thing that is a terminal becomes its own
        opened = os.open(source, os.O_RDONLY if number == 0 else flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.dont_write_bytecode = bool(order["env"].get("PYTHONDONTWRITEBYTECODE"))
    sys.path[1:1] = filter(None, order["env"].get("PYTHONPATH", "").split(os.pathsep))


def execute(arguments: list[str]) -> None:
    """Run what stands behind the interpreter, as it would."""
    del sys.modules["__main__"]
    match arguments:
        case ["-m", module, *rest]:
            sys.argv, sys.path[0] = [module, *rest], str(Path.cwd())
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *rest]:
            sys.argv, sys.path[0] = ["-c", *rest], ""
            sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(code, "<string>", "exec"), vars(sys.modules["__main__"]))
        case [script, *rest]:
            sys.argv, sys.path[0] = [script, *rest], str(Path(script).parent)
            runpy.run_path(script, run_name="__main__")


def end(arguments: list[str], patterns: str | None) -> NoReturn:
    """Run it and end as Python does, but for taking apart what the child shares with its parent."""
    known = set(re._cache)
    code: int | str | None = None
    try:
        execute(arguments)
    except SystemExit as asked:
        code = asked.code
    except BaseException as error:
        sys.excepthook(*sys.exc_info())
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    if patterns:
        with suppress(OSError):
            teach(patterns, known)
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code or 0)


if __name__ == "__main__":
    import contextlib
    import functools
    import gc
    import importlib
    import pkgutil
    import warnings
    from importlib import metadata

    import flask_keel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library in LIBRARIES:
            with contextlib.suppress(ImportError):
                importlib.import_module(library)
        for module in pkgutil.walk_packages(flask_keel.__path__, "flask_keel."):
            # what accounts and types stand on takes long to import, and few commands need it
            if not module.name.endswith(("__main__", ".accounts", ".admin", ".mypy")):
                importlib.import_module(module.name)
        # Flask loads those of all that is installed, whichever application it is
        for command in metadata.entry_points(group="flask.commands"):
            command.load()
    # it reads a file of each of them, and a command here sees what its parent saw
    metadata.entry_points = functools.cache(metadata.entry_points)
    metadata.entry_points(group="flask.commands")
    metadata.version = functools.cache(metadata.version)
    for name in flask_keel.extension.WANTED:
        metadata.version(name)
    re.purge()  # it has room for 512, and imports filled it
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    compile_once(folder)
    # what is collected in a child would copy all of it
    gc.collect()
    gc.freeze()
    ordered = serve()
    if ordered is not None:
        end(ordered["command"][1:], ordered.get("patterns"))
    shutil.rmtree(folder)
