"""Grade submitted notebooks, each in a process of its own with limits.

    graded = grade([Path("anna.ipynb"), Path("ben.ipynb")])
    graded[0].verdict, graded[0].score, graded[0].points

Whatever a submission does, it gets a verdict, and the others are graded all the same.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmbook.data.cache import cache_dir
from lmbook.grader import submission
from lmbook.grader.registry import exercises
from lmbook.grader.submission import BadSubmission, Submission

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from lmbook.grader.child import main; main()"
LONGEST_ANSWER = 4_000_000  # characters on the results channel
KEPT = (
    "PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "SYSTEMDRIVE",
    "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS", "OPENBLAS_CORETYPE",
)  # fmt: skip

VERDICTS = {
    "graded": "it ran, and its exercises have been tested",
    "missing": "there is no such file, or it cannot be read",
    "not a notebook": "the file is not a Jupyter notebook of format 4",
    "no exercises": "the notebook has no exercise that the grader knows",
    "time": "it ran too long",
    "memory": "it wanted too much memory",
    "output": "it printed too much",
    "files": "it tried to write outside its folder",
    "process": "it tried to start or signal a process, or left a thread running",
    "network": "it tried to use the network",
    "exit": "it ended its own process",
    "tampered": "it tried to replace or deceive the grader",
    "crashed": "Python itself crashed",
}


@dataclass(frozen=True)
class Limits:
    """What a submission may use: seconds of time and of CPU, megabytes, kilobytes printed."""

    seconds: float = 120.0
    cpu: float = 120.0
    memory: int = 2048
    output: int = 1024
    file_size: int = 64


@dataclass
class Graded:
    """What became of one submission."""

    file: str
    verdict: str
    reason: str
    score: int = 0
    points: int = 0
    seconds: float = 0.0
    exercises: list[dict[str, Any]] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)


class _Stop(Exception):
    """Grading of one submission ends with this verdict."""


def load_hidden(path: Path) -> str:
    """The source of an instructor's file of hidden tests, tried once so that its faults show early.

    The file adds tests to exercises: `@find("2.1.1-a").hidden("name", "hint")` over a function
    `(ns, rng)`, with `find` and the expectations from `lmbook.grader`.
    """
    source = path.read_text(encoding="utf-8")
    exec(compile(source, str(path), "exec"), {"__name__": "hidden_tests"})
    return source


def grade(
    paths: Sequence[Path],
    limits: Limits = Limits(),
    seed: int | None = None,
    hidden: Path | None = None,
    jobs: int = 1,
    done: Callable[[Graded], None] = lambda graded: None,
) -> list[Graded]:
    """Grade every file; `done` is called as each is finished. All are tried with the same seed."""
    seed = secrets.randbits(32) if seed is None else seed
    extra: str | None = None

    def one(path: Path) -> Graded:
        try:
            graded = grade_one(path, limits, seed, extra)
        except Exception as error:  # a fault of the grader must not keep the others from a verdict
            graded = Graded(
                str(path), "crashed", f"the grader failed: {type(error).__name__}: {error}"
            )
        done(graded)
        return graded

    kept = [(exercise, list(exercise.tests)) for exercise in exercises()]
    try:
        extra = load_hidden(hidden) if hidden else None
        with ThreadPoolExecutor(max(1, jobs)) as pool:
            return list(pool.map(one, paths))
    finally:
        for exercise, tests in kept:
            exercise.tests[:] = tests


def grade_one(path: Path, limits: Limits, seed: int, hidden: str | None = None) -> Graded:
    """Grade one file."""
    graded = Graded(str(path), "graded", "")
    start = time.perf_counter()
    try:
        read = submission.read(path)
        graded.points = sum(e.points for e in read.exercises)
        with tempfile.TemporaryDirectory(
            prefix="lmbook-grade-", ignore_cleanup_errors=True
        ) as folder:
            _Session(read, Path(folder), limits, seed, hidden, graded).run()
    except BadSubmission as error:
        graded.verdict, graded.reason = error.verdict, str(error)
    except _Stop as stop:
        graded.verdict, graded.reason = stop.args
        graded.exercises = []
    graded.score = sum(e["score"] for e in graded.exercises)
    graded.seconds = round(time.perf_counter() - start, 2)
    return graded


class _Session:
    """The conversation with one child."""

    def __init__(
        self,
        read: Submission,
        folder: Path,
        limits: Limits,
        seed: int,
        hidden: str | None,
        graded: Graded,
    ) -> None:
        self.read, self.folder, self.limits = read, folder, limits
        self.seed, self.hidden, self.graded = seed, hidden, graded
        self.answers: queue.Queue[str] = queue.Queue()
        self.printed = 0
        self.stopped = ""  # a verdict set by a watching thread
        self.deadline = time.monotonic() + limits.seconds

    def run(self) -> None:
        """Everything from start to verdict; raises _Stop unless the submission was graded."""
        work = self.folder / "work"
        work.mkdir()
        self.child = subprocess.Popen(
            [sys.executable, "-I", "-B", "-X", "utf8", "-c", BOOT, str(PACKAGE_ROOT)],
            cwd=work, env=_environment(work), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=os.name == "posix",
        )  # fmt: skip
        watchers = [threading.Thread(target=t, daemon=True) for t in (self._listen, self._count)]
        if sys.platform != "linux":
            watchers.append(threading.Thread(target=self._weigh, daemon=True))
        for watcher in watchers:
            watcher.start()
        try:
            self._converse(work)
        finally:
            self._kill()
            for watcher in watchers:
                watcher.join(timeout=5)
            for pipe in (self.child.stdin, self.child.stdout, self.child.stderr):
                try:
                    if pipe:
                        pipe.close()
                except OSError:  # what the child never read
                    pass

    def _converse(self, work: Path) -> None:
        limits = self.limits
        self._say(
            cells=self.read.cells, exercises=[e.id for e in self.read.exercises], seed=self.seed,
            folder=str(work), caches=[str(Path.home() / ".cache"), str(cache_dir())],
            memory=limits.memory << 20, cpu=limits.cpu, file_size=limits.file_size << 20,
        )  # fmt: skip
        cells = self._hear("cells")
        self.graded.raised = [str(line) for line in cells["raised"]][:50]
        if cells["verdict"]:
            raise _Stop(_known(cells["verdict"]), str(cells["reason"]))
        self._say(hidden=self.hidden)
        tests = self._hear("tests")
        word = secrets.token_hex(16)  # known to nobody before every test has run
        self._say(word=word)
        if self._hear("end")["word"] != word:
            raise _Stop("tampered", "its results do not come from the grader")
        if tests["verdict"]:
            raise _Stop(_known(tests["verdict"]), str(tests["reason"]))
        self.graded.exercises = [self._believe(e, tests["results"]) for e in self.read.exercises]

    def _believe(self, exercise: Any, results: list[dict[str, Any]]) -> dict[str, Any]:
        """One exercise's result, recomputed from its tests; every test must be there."""
        found = next(r for r in results if r["id"] == exercise.id)
        names = [test.name for test in exercise.tests]
        if [o["name"] for o in found["outcomes"]] != names:
            raise _Stop("tampered", f"the tests of {exercise.id} are not those of the grader")
        solved = bool(names) and all(o["passed"] is True for o in found["outcomes"])
        status = "solved" if solved else str(found["status"])
        return {
            "id": exercise.id, "title": exercise.title, "status": status,
            "score": exercise.points if solved else 0, "points": exercise.points,
            "tests": found["outcomes"],
        }  # fmt: skip

    def _say(self, **content: Any) -> None:
        assert self.child.stdin
        try:
            self.child.stdin.write(json.dumps(content).encode() + b"\n")
            self.child.stdin.flush()
        except OSError:
            pass  # the child is gone; hearing nothing from it says so

    def _hear(self, stage: str) -> dict[str, Any]:
        """The child's next answer, or the reason why none comes."""
        try:
            line = self.answers.get(timeout=max(0.0, self.deadline - time.monotonic()))
        except queue.Empty:
            raise _Stop("time", f"it ran for more than {self.limits.seconds:g} seconds") from None
        if self.stopped:
            raise _Stop(*self.stopped.split(": ", 1))
        if not line:
            raise self._death()
        try:
            answer = json.loads(line)
            if answer["stage"] == stage:
                return answer
        except (ValueError, KeyError, TypeError):
            pass
        raise _Stop("tampered", "it writes into the grader's channel")

    def _death(self) -> _Stop:
        """What an end without an answer means."""
        try:
            code = self.child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return _Stop("tampered", "it closed the grader's channel")
        if self.stopped:
            return _Stop(*self.stopped.split(": ", 1))
        name = signal.Signals(-code).name if code < 0 else ""
        if name == "SIGXCPU":
            return _Stop("time", f"it used more than {self.limits.cpu:g} seconds of CPU time")
        if name == "SIGKILL" and self.cpu() >= self.limits.cpu:
            return _Stop("time", f"it used more than {self.limits.cpu:g} seconds of CPU time")
        if name == "SIGKILL":
            return _Stop("memory", "the system ended it, most likely for the memory it took")
        if name:
            return _Stop("crashed", f"Python crashed ({name})")
        return _Stop("exit", f"it ended its process with code {code} before it was graded")

    def cpu(self) -> float:
        """CPU seconds that the child is known to have used; the clock's, where nobody counts them."""
        return time.monotonic() - self.deadline + self.limits.seconds

    def _listen(self) -> None:
        """Pass the child's answers on; an empty line at the end."""
        assert self.child.stdout
        size = 0
        while line := self.child.stdout.readline(LONGEST_ANSWER):
            size += len(line)
            if size > LONGEST_ANSWER:
                self._stop("tampered: it floods the grader's channel")
                break
            self.answers.put(line.decode("utf-8", "replace"))
        self.answers.put("")

    def _count(self) -> None:
        """Count what the submission prints, and forget it."""
        assert self.child.stderr
        while chunk := self.child.stderr.read1(65536):  # type: ignore[attr-defined]
            self.printed += len(chunk)
            if self.printed > self.limits.output << 10:
                self._stop(f"output: it printed more than {self.limits.output} kB")
                return

    def _weigh(self) -> None:
        """Where the system has no limit of memory, look at it five times a second."""
        try:
            import psutil
        except ImportError:
            return
        while self.child.poll() is None:
            try:
                used = psutil.Process(self.child.pid).memory_info().rss
            except psutil.Error:
                return
            if used > self.limits.memory << 20:
                self._stop(f"memory: it took more than {self.limits.memory} MB")
                return
            time.sleep(0.2)

    def _stop(self, verdict: str) -> None:
        self.stopped = self.stopped or verdict
        self._kill()

    def _kill(self) -> None:
        """End the child and whatever it started."""
        try:
            if os.name == "posix":
                os.killpg(self.child.pid, signal.SIGKILL)
            else:
                self.child.kill()
        except (ProcessLookupError, PermissionError):
            pass
        self.child.wait()


def _known(verdict: Any) -> str:
    return verdict if verdict in VERDICTS and verdict != "graded" else "tampered"


def _environment(work: Path) -> dict[str, str]:
    """A small environment: no secrets of whoever grades, one thread, plain outputs."""
    kept = {k: os.environ[k] for k in KEPT if k in os.environ}
    folder = str(work)
    return kept | {
        "HOME": folder, "USERPROFILE": folder, "TMPDIR": folder, "TEMP": folder, "TMP": folder,
        "MPLCONFIGDIR": folder, "MPLBACKEND": "Agg", "NUMBA_CACHE_DIR": folder,
        "LMBOOK_LIVE": "0", "LMBOOK_PROGRESS": "0", "LMBOOK_BACKEND": "numpy",
        "LMBOOK_HOME": folder, "LMBOOK_CACHE": str(cache_dir()),
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    }  # fmt: skip
