"""Run folders from a hub that speaks Hugging Face's protocol: `hf://USER/NAME`, or `hf://USER/NAME@REVISION`.

Only the files of a run folder are fetched, into that library's own cache, and nothing that comes with them is run: a
recipe names parts of this package, or of modules that the user trusts.
"""

import importlib
import re
from pathlib import Path

__all__ = ["FILES", "HUB", "fetched", "is_on_hub"]

HUB = "hf://"
FILES = ("recipe.json", "model.safetensors", "run.json", "scores.json", "card.md")
"""What is fetched of a folder on a hub."""
_FORM = re.compile(r"hf:/{1,2}([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?")
"""With one slash, too: that is what a path makes of two."""


def is_on_hub(name: str | Path) -> bool:
    """Whether a name is of a run folder on a hub."""
    return str(name).startswith("hf:/")


def fetched(name: str | Path) -> Path:
    """The run folder on a hub, fetched unless the cache has it.

    The hub is `HF_ENDPOINT`, or huggingface.co; the cache is `HF_HOME`. With `HF_HUB_OFFLINE=1` nothing is fetched.

    Raises:
        ValueError: if the name has another form. ImportError: without huggingface_hub. FileNotFoundError: if there is
            no such run folder, or the hub cannot be reached and the cache has none.
    """
    if not (form := _FORM.fullmatch(str(name))):
        raise ValueError(f"Expected hf://USER/NAME or hf://USER/NAME@REVISION, got {str(name)!r}.")
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise ImportError(f"{name} is on a hub, which needs: pip install 'ergosum[hub]' ({error})") from error
    try:
        folder = Path(hub.snapshot_download(form[1], revision=form[2], allow_patterns=list(FILES)))
    except Exception as error:  # the library and what it fetches with raise many kinds
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise FileNotFoundError(f"Could not fetch {HUB}{form[1]}: {reason.strip().rstrip('.')}.") from error
    if missing := [file for file in FILES[:2] if not (folder / file).is_file()]:
        raise FileNotFoundError(f"{HUB}{form[1]} is no run folder: it has no {' and no '.join(missing)}.")
    return folder
