"""PyTorch's files are read as PyTorch reads them, and nothing in them is run."""

import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from lmbook import data
from lmbook.data import torch_files


def saved(state, zipped=True):
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(4, 6, generator=generator)
    return OrderedDict(
        weight=whole, turned=whole.T, part=whole[1:3, ::2], alone=torch.tensor(3),
        half=whole.half(), double=whole.double(), empty=torch.zeros(0, 3), truth=whole > 0,
        parameter=torch.nn.Parameter(whole * 2),
    )  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
def test_arrays_are_those_that_were_saved(state, zipped):
    found = data.read_torch(saved(state, zipped))
    assert list(found) == list(state)
    for name, tensor in state.items():
        want = tensor.detach().numpy()
        assert found[name].dtype == want.dtype and found[name].flags.writeable
        np.testing.assert_array_equal(found[name], want, err_msg=name)


class Hostile:
    def __reduce__(self):
        return os.system, ("echo hacked > hacked.txt",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_a_program_is_refused(zipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(data.DataError, match=r"x\.pth: the file asks for posix.system|nt.system"):
        data.read_torch(saved({"a": Hostile()}, zipped), "x.pth")
    with pytest.raises(data.DataError, match="system, which is no part of a table of weights"):
        data.read_torch(pickle.dumps(Hostile()))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("zipped", [True, False])
def test_damage_is_told(state, zipped):
    content = saved(state, zipped)
    for cut in (0, 10, len(content) // 2, len(content) - 9):
        with pytest.raises(data.DataError, match=r"w\.pth"):
            data.read_torch(content[:cut], "w.pth")
    with pytest.raises(data.DataError, match="is no weights file of PyTorch, or is damaged"):
        data.read_torch(b"GIF89a, or anything else")


def test_other_content_is_told():
    with pytest.raises(data.DataError, match="something else than a dictionary of arrays"):
        data.read_torch(saved({"epoch": 3}))
    with pytest.raises(data.DataError, match=r"torch\.BFloat16Storage"):
        data.read_torch(saved({"a": torch.zeros(2, dtype=torch.bfloat16)}))
    with pytest.raises(data.DataError, match="does not begin as PyTorch's files do"):
        data.read_torch(pickle.dumps(5))


def test_an_array_must_lie_inside_its_storage():
    storage = torch_files._Storage("0", np.dtype("<f4"), 4)
    for view in [(storage, 1, (4,), (1,)), (storage, 0, (2, 3), (2, 1)), (storage, 3, (2,), (-1,))]:
        with pytest.raises(data.DataError, match="reaches beyond storage 0"):
            torch_files._array(torch_files._View(*view), {"0": bytes(16)})
