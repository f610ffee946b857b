"""Every row once an epoch, in an order that neither workers nor a kill at any moment changes."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbook import data
from lmbook.data.atomic import write_json


def ids(*lengths):
    """Shards of consecutive numbers."""
    ends = np.cumsum(lengths)
    return [np.arange(end - n, end) for n, end in zip(lengths, ends)]


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 12), st.integers(0, 3),
    st.data(),
)  # fmt: skip
def test_resuming_anywhere_goes_on_with_the_same_batches(lengths, batch_size, workers, draw):
    def make(n_workers=0):
        return data.ShardedLoader(ids(*lengths), batch_size, seed=5, epochs=2, workers=n_workers)

    whole = list(make())
    for epoch in np.split(np.concatenate(whole), 2):
        assert sorted(epoch) == list(range(sum(lengths)))
    stop = draw.draw(st.integers(0, len(whole)))
    first = make(workers)
    batches = iter(first)
    begun = [next(batches) for _ in range(stop)]
    state = json.loads(json.dumps(first.state_dict()))
    batches.close()
    second = make(workers)
    second.load_state_dict(state)
    both = begun + list(second)
    assert len(both) == len(whole) and all((a == b).all() for a, b in zip(both, whole))


def test_ranks_share_an_epoch_between_them():
    shards = ids(3, 8, 5, 7, 2)
    loaders = [data.ShardedLoader(shards, 4, seed=1, rank=r, world_size=3) for r in range(3)]
    parts = [np.concatenate(list(loader)) for loader in loaders]
    assert sorted(np.concatenate(parts)) == list(range(25))


def test_seeds_and_epochs_differ_and_shuffle_can_be_left_out():
    def order(seed, shuffle=True):
        loader = data.ShardedLoader(ids(30, 30), 10, seed=seed, epochs=2, shuffle=shuffle)
        return np.concatenate(list(loader)).tolist()

    assert order(0) == order(0) != order(1)
    assert order(0)[:60] != order(0)[60:]
    assert order(0, shuffle=False) == [*range(60), *range(60)]


def test_random_transforms_are_repeated_too():
    def noisy(rows, generator):
        return rows + generator.random(len(rows))

    def make(workers):
        return data.ShardedLoader(ids(10, 7), 4, epochs=2, transform=noisy, workers=workers)

    whole = list(make(0))
    assert all((a == b).all() for a, b in zip(whole, make(3), strict=True))
    assert len(np.unique(np.concatenate(whole) % 1)) == 34


def test_workers_read_ahead_but_the_state_counts_what_was_handed_out():
    read = []

    def note(rows, generator):
        read.append(len(rows))
        return rows

    loader = data.ShardedLoader(ids(40), 4, transform=note, workers=2)
    batches = iter(loader)
    next(batches)
    deadline = time.monotonic() + 20
    while sum(read) < 12 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sum(read) >= 12 and loader.state_dict()["delivered"] == 4
    batches.close()


def test_a_worker_s_error_reaches_the_reader():
    def fail(rows, generator):
        raise RuntimeError("no such image")

    with pytest.raises(RuntimeError, match="no such image"):
        list(data.ShardedLoader(ids(40), 4, transform=fail, workers=2))


def test_files(tmp_path):
    rows = np.random.default_rng(0).random((25, 3, 2))
    shards = data.write_shards(tmp_path, rows, 10)
    assert shards.lengths == [10, 10, 5]
    read = np.concatenate(list(data.ShardedLoader(tmp_path, 4, shuffle=False)))
    assert (read == rows).all()
    other = data.write_shards(tmp_path / "other", rows + 1, 10)
    assert other.fingerprint != shards.fingerprint
    np.save(tmp_path / "00001.npy", rows[:3])
    with pytest.raises(data.DataError, match=r"00001\.npy has 3 rows, the index says 10"):
        list(data.ShardedLoader(tmp_path, 4))
    (tmp_path / "00001.npy").write_bytes(b"half of it")
    with pytest.raises(data.DataError, match="cannot be read"):
        list(data.ShardedLoader(tmp_path, 4))
    (tmp_path / "index.json").write_text("{}", encoding="utf-8")
    with pytest.raises(data.DataError, match="is not the index"):
        data.Shards(tmp_path)


def test_fingerprints_tell_arrays_apart():
    names = np.array(["a", "b"], dtype=object)
    kinds = [[np.arange(5)], [np.arange(5) + 1], [np.arange(5.0)], [np.arange(5)[:, None]], [names]]
    assert len({data.Shards(arrays).fingerprint for arrays in kinds}) == 5
    code = (
        "import numpy as np; from lmbook import data; "
        "print(data.Shards([np.array(['a', 'b'], dtype=object)]).fingerprint)"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert other.strip() == data.Shards([names]).fingerprint


def test_foreign_states_are_refused(tmp_path):
    loader = data.ShardedLoader(ids(5, 5), 2, seed=1)
    state = loader.state_dict()
    for change, message in (
        ({"seed": 2}, "the state is of seed 2, this loader of 1"),
        ({"data": "other"}, "the state is of data 'other'"),
        ({"world_size": 2}, "world_size 2"),
        ({"format": "another"}, "not a state of"),
        ({"delivered": -1}, "is no place"),
        ({"epoch": None}, "is no place"),
        ({"delivered": 10}, "epoch 0 has no row 10"),
    ):
        with pytest.raises(data.DataError, match=message):
            loader.load_state_dict({**state, **change})
    with pytest.raises(data.DataError, match="not a state of"):
        loader.load_state_dict([1, 2])
    (tmp_path / "state.json").write_text('{"format": "lmb', encoding="utf-8")
    with pytest.raises(data.DataError, match=r"state\.json is not JSON"):
        loader.load(tmp_path / "state.json")
    (tmp_path / "state.json").write_text('{"step": 3}', encoding="utf-8")
    with pytest.raises(data.DataError, match=r"state\.json: .*not a state of"):
        loader.load(tmp_path / "state.json")
    loader.save(tmp_path / "state.json", extra={"step": 3})
    assert loader.load(tmp_path / "state.json") == {"step": 3}
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_loader_errors():
    with pytest.raises(ValueError, match="batch_size 0"):
        data.ShardedLoader(ids(3), 0)
    with pytest.raises(ValueError, match="rank 0 of 2 processes with 1 shards"):
        data.ShardedLoader(ids(3), 1, world_size=2)
    with pytest.raises(data.DataError, match=r"lengths \[\]"):
        data.ShardedLoader([], 1)
    with pytest.raises(data.DataError, match=r"lengths \[2, 0\]"):
        data.ShardedLoader([np.zeros(2), np.zeros(0)], 1)
    with pytest.raises(ValueError, match="0 rows"):
        data.write_shards("nowhere", np.zeros(0), 3)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    assert json.loads((tmp_path / "a.json").read_text()) == [1]


# A reader of a data set: it adds what it got to a log, then notes place and length of the log in
# one file. Killed between the two, it finds a log longer than noted, and cuts off the rest.
READER = """
import os, sys
from pathlib import Path
import numpy as np
from lmbook import data
from lmbook.data import atomic

folder, kill_at, moment, workers = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
state, log = folder / "state.json", folder / "log"
loader = data.ShardedLoader(folder / "shards", 7, seed=3, epochs=2, workers=workers)
length = loader.load(state)["log"] if state.exists() else 0
steps = 0

def die(now):
    if (steps, now) == (kill_at, moment):
        os.kill(os.getpid(), 9)

replace = os.replace
def dying_replace(*names):
    die("before the rename")
    replace(*names)
    die("after the rename")

atomic.os.replace = dying_replace
with open(log, "r+b" if log.exists() else "w+b") as file:
    file.truncate(length)
    file.seek(length)
    for batch in loader:
        steps += 1
        die("with a batch in hand")
        text = "".join(f"{i}\\n" for i in batch).encode()
        file.write(text[: len(text) // 2])
        file.flush()
        die("in the middle of the log")
        file.write(text[len(text) // 2 :])
        file.flush()
        os.fsync(file.fileno())
        die("before the state")
        loader.save(state, extra={"log": file.tell()})
        print(steps, flush=True)
"""


def run(folder, kill_at=0, moment="", workers=0):
    command = [sys.executable, "-c", READER, str(folder), str(kill_at), moment, str(workers)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def expected():
    loader = data.ShardedLoader(ids(20, 20, 10), 7, seed=3, epochs=2)
    return np.concatenate(list(loader)).tolist()


@pytest.fixture
def folder(tmp_path):
    data.write_shards(tmp_path / "shards", np.arange(50), 20)
    return tmp_path


MOMENTS = (
    "with a batch in hand", "in the middle of the log", "before the state", "before the rename",
    "after the rename",
)  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal 9")
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_every_kind_of_moment_no_row_is_lost_or_repeated(folder, workers):
    for k, moment in enumerate(MOMENTS):
        ended = run(folder, kill_at=1 + k % 3, moment=moment, workers=workers)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    ended = run(folder, workers=workers)
    assert ended.returncode == 0, ended.stderr
    got = [int(line) for line in (folder / "log").read_text().split()]
    assert sorted(got) == sorted([*range(50)] * 2)
    assert got == expected()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal 9")
def test_killed_at_each_step(folder):
    """A kill after every single step, from the first to the last of both epochs."""
    runs = 0
    while (ended := run(folder, kill_at=2, moment=MOMENTS[runs % len(MOMENTS)])).returncode:
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        runs += 1
    assert runs >= 8
    assert [int(line) for line in (folder / "log").read_text().split()] == expected()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal 9")
def test_killed_from_outside_whenever_it_comes(folder):
    random = np.random.default_rng(0)
    command = [sys.executable, "-c", READER, str(folder), "0", "", "2"]
    for _ in range(4):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()  # it runs
            time.sleep(random.uniform(0, 0.01))
            process.send_signal(signal.SIGKILL)
    assert run(folder).returncode == 0
    assert [int(line) for line in (folder / "log").read_text().split()] == expected()


def test_without_the_log_s_length_in_the_state_the_test_above_would_fail(folder):
    """What the test must notice: a reader that notes the place before it has used the batch."""
    loader = data.ShardedLoader(folder / "shards", 7, seed=3, epochs=2)
    got = []
    batches = iter(loader)
    got += next(batches).tolist()
    next(batches)  # handed out, place noted ...
    state = loader.state_dict()
    again = data.ShardedLoader(folder / "shards", 7, seed=3, epochs=2)  # ... killed, batch unused
    again.load_state_dict(state)
    got += np.concatenate(list(again)).tolist()
    assert got != expected() and len(got) == len(expected()) - 7
