import inspect
import subprocess
import sys

import pytest

import spikesight


def test_every_public_name_can_be_had() -> None:
    assert sorted(spikesight._HOME) == sorted(spikesight.__all__) == spikesight.__all__
    for name in spikesight.__all__:
        assert getattr(spikesight, name).__name__ == name


def test_every_public_name_is_documented() -> None:
    undocumented = [name for name in spikesight.__all__ if not inspect.getdoc(getattr(spikesight, name))]
    assert undocumented == []


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'decode_everything'"):
        spikesight.decode_everything  # noqa: B018


def test_dir_lists_names_that_are_not_imported_yet() -> None:
    code = "import spikesight; assert set(spikesight.__all__) <= set(dir(spikesight))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_import_spikesight_imports_nothing_of_the_package_but_itself() -> None:
    code = "import sys, spikesight; print([name for name in sys.modules if name.startswith('spikesight.')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_that_of_the_installed_package() -> None:
    from importlib.metadata import version

    assert version("spikesight") == spikesight.__version__
