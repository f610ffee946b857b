"""Data sets, loaded once."""

import pytest

from lmbook import data


@pytest.fixture(scope="session")
def mnist():
    return data.mnist_5k()


@pytest.fixture(scope="session")
def reference():
    return data.language_reference()


@pytest.fixture(scope="session")
def translations():
    return {language: data.translations(language) for language in ("zh", "fr", "de")}
