"""Files are written whole or not at all."""

import errno
import json
import os
from pathlib import Path

import pytest

from ergosum.files import read_json, write_atomically, write_json


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("file write failed"), KeyError("bug")]
)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, failure):
    path = tmp_path / "scores.json"
    write_json(path, {"old": 1})

    def half(temporary):
        temporary.write_text("{")
        raise failure

    with pytest.raises(KeyError if isinstance(failure, KeyError) else OSError) as caught:
        write_atomically(path, half)
    assert read_json(path) == {"old": 1} and [p.name for p in tmp_path.iterdir()] == ["scores.json"]
    assert isinstance(failure, KeyError) or f"Could not write {path}" in str(caught.value)


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        write_json(tmp_path / "file" / "scores.json", {})
    with pytest.raises(OSError):
        write_json(Path("/proc/ergosum/scores.json"), {})


def test_json_is_written_to_be_read_by_people_and_programs(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"b": [1.5]})
    text = (tmp_path / "deep" / "a.json").read_text()
    assert json.loads(text) == {"b": [1.5]} and text.endswith("\n") and "\n " in text


@pytest.mark.parametrize("mask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_gets_the_permissions_that_the_umask_leaves_it(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_json(tmp_path / "a.json", {})
        assert (tmp_path / "a.json").stat().st_mode & 0o777 == mode
        assert os.umask(mask) == mask, "reading the mask does not change it"
    finally:
        os.umask(before)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe"])
def test_what_is_no_json_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")
