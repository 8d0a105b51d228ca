"""What the labels of EMNIST's files stand for: its six sets have digits and letters under numbers of their own.

Source: Cohen, Afshar, Tapson & van Schaik 2017, "EMNIST: an extension of MNIST to handwritten letters"; the numbers are
those of the files `emnist-...-mapping.txt` that are published with the images: a label and the codes of the characters
that it stands for in each line. Where such a file lies beside the images it is read.
"""

import re
from pathlib import Path
from string import ascii_uppercase

from ergosum.data.files.reading import readable
from ergosum.data.labelled import DIGITS

__all__ = ["emnist_classes"]

WHAT = "EMNIST's mapping of labels"
APART = "abdefghnqrt"
"""Small letters that are a class of their own where letters of one form, such as c and C, are one class."""
CHARACTERS = {
    "byclass": (0, "0123456789" + ascii_uppercase + ascii_uppercase.lower()),
    "bymerge": (0, "0123456789" + ascii_uppercase + APART), "balanced": (0, "0123456789" + ascii_uppercase + APART),
    "letters": (1, ascii_uppercase), "digits": (0, "0123456789"), "mnist": (0, "0123456789"),
}  # fmt: skip
"""The first label of each set, and the characters of the labels from it on."""


def emnist_classes(images: Path) -> dict[int, str]:
    """Names of the labels of a file of EMNIST's images, in the order of the labels; {} for files of other names.

    Digits are called zero .. nine, letters by themselves, a class of both forms by the large one.

    Raises:
        UnreadableFile, an OSError: if there is a mapping beside the images that is damaged.
    """
    found = re.match(r"(emnist-(\w+)-)(train|test|t10k)-", images.name)
    if found is None:
        return {}
    mapping = images.with_name(f"{found[1]}mapping.txt")
    if mapping.is_file():
        with readable(mapping, WHAT):
            return _mapped(mapping.read_text(encoding="ascii"))
    first, characters = CHARACTERS.get(found[2], (0, ""))
    return {label: _name(character) for label, character in enumerate(characters, first)}


def _mapped(text: str) -> dict[int, str]:
    told: dict[int, str] = {}
    for line in filter(str.strip, text.splitlines()):
        label, code, *_ = (int(number) for number in line.split())
        if not chr(code).isalnum() or label in told or _name(chr(code)) in told.values():
            raise ValueError(f"expected a new label and the code of a digit or letter, got {line!r}")
        told[label] = _name(chr(code))
    return dict(sorted(told.items()))


def _name(character: str) -> str:
    """As formulas can hold it."""
    return DIGITS[int(character)] if character.isdigit() else character
