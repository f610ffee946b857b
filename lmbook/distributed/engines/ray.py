"""Ray starts the ranks, on one machine or on a cluster; they are joined by gloo."""

import contextlib
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from lmbook.backend.errors import require
from lmbook.distributed.errors import RankError, RankLost
from lmbook.distributed.log import Log


class Member:
    """The actor of one rank."""

    def address(self) -> str:
        """A free port of this machine, for the ranks to meet at."""
        import ray

        with socket.socket() as s:
            s.bind(("", 0))
            return f"tcp://{ray.util.get_node_ip_address()}:{s.getsockname()[1]}"

    def act(
        self, blob: bytes, rank: int, size: int, store: str, seed: int, timeout: float, source: Any
    ) -> tuple[str, Any]:
        """("result", (value, report)) or ("error", traceback)."""
        import pickle

        from lmbook.distributed.engines.torch import join_store
        from lmbook.distributed.failure import rank_error
        from lmbook.distributed.member import act
        from lmbook.distributed.proc.worker import dumps, name_source

        try:
            fn, args = pickle.loads(blob)
            name_source(fn, source)
            transport = join_store(rank, size, store, timeout)
            told = act(transport, fn, args, seed)
            transport.close()
            return "result", dumps(told[rank])
        except BaseException as error:
            return "error", rank_error(rank, error).text


def launch(
    fn: Callable[..., Any], ranks: int, args: Sequence[Any] = (), *, seed: int = 0,
    timeout: float = 60.0,
) -> tuple[list[Any], Log]:  # fmt: skip
    """Run a rank function in actors of Ray: in the cluster that is there, or one started here and ended."""
    import pickle

    from lmbook.distributed.proc.launch import packed, source_of
    from lmbook.distributed.wire import join_logs

    ray = require("ray", "ray", "the backend 'ray'")
    ours = not ray.is_initialized()
    folder = tempfile.mkdtemp(prefix="lmbook-ray-") if ours else ""
    actors: list[Any] = []
    try:
        import sys

        if ours:  # inside: a start that fails leaves processes, too
            ray.init(
                num_cpus=ranks, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
                _temp_dir=folder,
            )  # fmt: skip
        setting = {
            "env_vars": {"OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(p for p in sys.path if p)}
        }
        kind = ray.remote(num_cpus=1, runtime_env=setting)(Member)
        actors = [kind.remote() for _ in range(ranks)]
        store = ray.get(actors[0].address.remote())
        blob, source = packed(fn, args), source_of(fn)
        work = {
            a.act.remote(blob, r, ranks, store, seed, timeout, source): r
            for r, a in enumerate(actors)
        }
        told: list[Any] = [None] * ranks
        while work:
            done, _ = ray.wait(list(work))
            rank = work.pop(done[0])
            try:
                kind_of, value = ray.get(done[0])
            except ray.exceptions.RayActorError as error:
                raise RankLost(rank, str(error).strip().splitlines()[-1]) from error
            if kind_of == "error":
                _first_dead(ray, work)
                raise RankError(rank, value)
            told[rank] = pickle.loads(value)
        return [value for value, _ in told], join_logs([report for _, report in told])
    finally:
        for actor in actors:
            with contextlib.suppress(Exception):
                ray.kill(actor)
        if ours:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def _first_dead(ray: Any, work: dict[Any, int]) -> None:
    """Raise `RankLost` for an actor that died, if one did: who notices it first is not to blame."""
    limit = time.monotonic() + 1.0
    while work and time.monotonic() < limit:
        done, _ = ray.wait(list(work), timeout=max(0.0, limit - time.monotonic()))
        for ref in done:
            rank = work.pop(ref)
            try:
                ray.get(ref)
            except ray.exceptions.RayActorError as error:
                raise RankLost(rank, str(error).strip().splitlines()[-1]) from error
