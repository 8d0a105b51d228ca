"""Where things are kept for a user who may have no home."""

import os
import subprocess
import sys
import tempfile
import urllib.request
import warnings
from pathlib import Path

import pytest

from ergosum.data.cache import cache_folder, cache_folders
from ergosum.data.dataset import store
from ergosum.data.sources import default_source, load_digits
from ergosum.data.tetrominoes import Tetrominoes


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    """As in a container: no HOME, and a user whom the system does not know."""

    def no_home(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    monkeypatch.delenv("ERGOSUM_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"ergosum-{os.getuid()}"


def test_bundled_digits_and_stored_images_need_no_home(homeless, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert default_source() == "digits" and len(load_digits("digits", "test").labels) == 400
        assert len(store(Tetrominoes(), 2, folder=tmp_path / "mine")) == 2
    assert not homeless.exists()


def test_what_must_be_kept_goes_to_the_temporary_folder_and_a_warning_says_so(homeless):
    with pytest.warns(UserWarning, match=r"The cache is .*images, since there is no home folder\. Set XDG_CACHE_HOME"):
        kept = store(Tetrominoes(), 2)
    assert kept.folder.parent == homeless / "images" and homeless.stat().st_mode & 0o777 == 0o700
    with pytest.warns(UserWarning, match="The cache is"):
        assert store(Tetrominoes(), 2).folder == kept.folder


def test_a_download_that_went_to_the_temporary_folder_is_found_again(homeless, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: pytest.fail("downloaded again"))
    with pytest.warns(UserWarning, match="The cache is"):
        (cache_folder("mnist") / "t10k-images-idx3-ubyte.gz").write_bytes(b"kept")
    with pytest.raises(OSError, match=r"t10k-images-idx3-ubyte\.gz is damaged"):
        load_digits("mnist", "test")


def test_a_home_that_cannot_be_written_is_no_home(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.warns(UserWarning, match=r"since .*file/ergosum/mnist cannot be made \(Not a directory\)"):
        assert cache_folder("mnist") == tmp_path / f"ergosum-{os.getuid()}" / "mnist"


def test_what_another_user_put_in_the_temporary_folder_is_not_trusted(homeless, monkeypatch):
    (homeless / "mnist").mkdir(parents=True)
    assert cache_folders("mnist") == [homeless / "mnist"]
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    homeless.rename(homeless.with_name(f"ergosum-{uid + 1}"))
    assert cache_folders("mnist") == []
    with pytest.raises(OSError, match=r"belongs to another user\. Set XDG_CACHE_HOME"):
        cache_folder("mnist")


def test_the_users_cache_is_the_first_place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folders("mnist")[0] == tmp_path / "ergosum" / "mnist" == cache_folder("mnist")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folders("mnist")[0] == Path("~/.cache").expanduser() / "ergosum" / "mnist"


@pytest.mark.skipif(
    os.name == "nt" or os.getuid() != 0, reason="only root may become a user whom the system does not know"
)
def test_a_process_of_an_unknown_user_asks_which_digits_to_score():
    code = (
        "import os; from ergosum.data.sources import default_source\n"
        "os.setgid(54321); os.setuid(54321); print(default_source())"
    )
    environment = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "OMP_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "digits\n"), done.stderr
