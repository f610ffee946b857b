import matplotlib
import matplotlib.pyplot as plt
import pytest

from lmbook import viz

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def house_style():
    """Each test draws in the house style and leaves matplotlib as it was."""
    with matplotlib.rc_context():
        viz.style()
        yield
        plt.close("all")
