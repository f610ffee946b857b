"""What a submission may do while it is graded: a guard rail, not a prison.

An audit hook refuses files outside the work folder, processes, signals, the network, and looking into
the grader. It cannot be removed, but it lives in the submission's own process: native code passes it,
and Python code written to find a way round it will find one (through the closures of a function, for
example). It stops accidents and the tricks that students try. To grade people who mean harm, run
`lmbook grade` in a container or on a throw-away machine.
"""

from __future__ import annotations

import os
import platform
import re
import site
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PROCESS = {
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile",
    "subprocess.Popen", "pty.spawn", "os.kill", "os.killpg", "signal.pthread_kill",
    "resource.setrlimit", "resource.prlimit", "winreg.SetValue", "winreg.CreateKey",
}  # fmt: skip
_NETWORK = {
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
}
_PATHS = {  # event -> which arguments are paths that it changes
    "os.remove": (0,), "os.rename": (0, 1), "os.rmdir": (0,), "os.mkdir": (0,), "os.link": (0, 1),
    "os.symlink": (1,), "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,),
    "os.setxattr": (0,), "os.removexattr": (0,), "os.chflags": (0,), "sqlite3.connect": (0,),
}  # fmt: skip
_PEEKING = {
    "sys._getframe", "sys._current_frames", "sys._current_exceptions", "sys._getframemodulename",
    "gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys.settrace", "sys.setprofile",
    "sys.addaudithook", "ctypes.dlopen", "ctypes.dlsym", "ctypes.cdata", "ctypes.call_function",
    "ctypes.string_at", "ctypes.create_string_buffer", "cpython.run_command",
}  # fmt: skip
_FRAMES = {"tb_frame", "gi_frame", "cr_frame", "ag_frame"}  # ways to the caller's variables
_SECRET = re.compile(
    r"/proc/(?:self|thread-self|\d+)/(?:task/\d+/)?(?:fd|fdinfo|mem|map_files)\b|/dev/(?:fd|std)"
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DESCRIPTORS = (
    "read", "write", "readv", "writev", "pread", "pwrite", "sendfile", "splice", "dup", "dup2",
    "close", "fdopen", "set_inheritable",
)  # fmt: skip


def _trusted_folders() -> tuple[str, ...]:
    paths = {sysconfig.get_path(k) for k in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= set(site.getsitepackages()) | {str(Path(__file__).resolve().parents[1])}
    return (*(p + os.sep for p in paths if p), "<frozen")


class Refusals:
    """Notes what is refused, as "verdict: what", and refuses it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, kind: str, what: str, note: bool = True) -> None:
        if note and len(self.seen) < 20:
            self.seen.append(f"{kind}: {what}")
        raise PermissionError(f"refused while grading: {what}")


def install(folder: Path, descriptors: set[int], caches: list[str]) -> Refusals:
    """Refuse from now on; return the notes of what was refused.

    `folder` is where the submission may write. `caches` are folders that libraries like to write to:
    refused too, but not held against the submission. `descriptors` are not to be touched.
    """
    refuse = Refusals()
    realpath, fsdecode, getframe, exists = (
        os.path.realpath, os.fsdecode, sys._getframe, os.path.isdir,
    )  # fmt: skip
    home = realpath(folder)
    quiet = tuple(realpath(c) for c in caches if c)
    trusted = _trusted_folders()
    native = os.path.join(sysconfig.get_path("stdlib"), "ctypes") + os.sep
    libraries = tuple({sysconfig.get_path(k) + os.sep for k in ("purelib", "platlib")})
    libraries += (platform.__file__,)
    busy = False

    def inside(path: str, folders: tuple[str, ...]) -> bool:
        return any(path == f or path.startswith(f + os.sep) for f in folders)

    def caller_past(files: tuple[str, ...]) -> str:
        """The file of the code that made the audited call, or called the given files to make it."""
        frame = getframe(2)
        while frame.f_back and frame.f_code.co_filename.startswith(files):
            frame = frame.f_back
        return frame.f_code.co_filename

    def changes(path: Any, what: str) -> None:
        if isinstance(path, int):
            if path in descriptors:
                refuse("tampered", "the grader's channel")
            return
        if path is None:
            return
        full = realpath(fsdecode(path))
        if full in ("/dev/null", "nul") or inside(full, (home,)):
            return
        refuse("files", f"{what} {fsdecode(path)}", note=not inside(full, quiet))

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy:
            return
        if event == "open":
            path, mode, flags = args
            writes = any(c in "wax+" for c in mode or "") or (flags or 0) & _WRITING
            busy = True
            try:
                if isinstance(path, int) or writes:
                    changes(path, "writing the file")
                elif _SECRET.match(realpath(fsdecode(path))) or _SECRET.match(fsdecode(path)):
                    refuse("tampered", f"opening {fsdecode(path)}")
            finally:
                busy = False
        elif event in _PATHS:
            busy = True
            try:
                if event == "os.mkdir" and exists(args[0]):
                    return
                for i in _PATHS[event]:
                    changes(args[i], event)
            finally:
                busy = False
        elif event in _PROCESS:
            busy = True
            try:
                caller = caller_past((subprocess.__file__, os.__file__))
            finally:
                busy = False
            # libraries ask the system about fonts or the processor, and do without an answer
            refuse("process", event, note=not caller.startswith(libraries))
        elif event in _NETWORK:
            refuse("network", event)
        elif event in _PEEKING or (event == "object.__getattr__" and args[1] in _FRAMES):
            busy = True
            try:
                caller = caller_past((native,))  # whoever calls into ctypes
            finally:
                busy = False
            if not caller.startswith(trusted):
                refuse("tampered", args[1] if event == "object.__getattr__" else event)

    _fence(descriptors, refuse)
    sys.addaudithook(hook)
    return refuse


def _fence(descriptors: set[int], refuse: Callable[..., None]) -> None:
    """Keep the calls of `os` that take a number from the grader's own descriptors."""
    native = sys.modules.get("posix") or sys.modules.get("nt")
    for name in _DESCRIPTORS:
        real = getattr(os, name, None)
        if real is None:
            continue

        def fenced(fd: Any, *rest: Any, _real: Any = real, _name: str = name, **kw: Any) -> Any:
            touched = {fd, *rest[:1]} if _name in ("dup2", "sendfile", "splice") else {fd}
            if any(isinstance(x, int) and x in descriptors for x in touched):
                refuse("tampered", f"os.{_name} on the grader's channel")
            return _real(fd, *rest, **kw)

        setattr(os, name, fenced)
        if hasattr(native, name):
            setattr(native, name, fenced)


def limit(memory: int, cpu: float, file_size: int) -> bool:
    """Limit this process, in bytes and seconds; False where the system cannot (Windows)."""
    try:
        import resource
    except ImportError:
        return False
    wanted = [("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", file_size), ("RLIMIT_CPU", int(cpu) + 1)]
    if sys.platform == "linux":
        wanted += [("RLIMIT_DATA", memory), ("RLIMIT_AS", memory + (6 << 30))]
    for name, value in wanted:
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):
            return False
    return True
