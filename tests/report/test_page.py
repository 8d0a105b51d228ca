"""The page: one file, everything inside it, every text escaped."""

import base64
import re
from html.parser import HTMLParser

import pytest
import torch

from ergosum.report import page
from ergosum.report.animation import encode_animation, save_animation
from ergosum.report.page import Card, write_page
from ergosum.report.strips import strip
from ergosum.training.task import Section

EVIL = "<script>alert('a & \"b\"')</script>"


@pytest.fixture
def frames():
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Tags(HTMLParser):
    """Counts tags and notices those that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_opens_offline(frames, tmp_path):
    body = page.figure(strip(frames), "a strip") + page.animation(encode_animation(frames), "a move")
    write_page(tmp_path / "p.html", "Title", "Subtitle", "ergosum train", [Section("One", "text", body)])
    text = (tmp_path / "p.html").read_text()
    tags = Tags(text)
    assert not tags.open and tags.seen.count("img") == 2
    assert "http://" not in text and "https://" not in text and "url(" not in text and "<script" not in text
    assert re.findall(r'src="(.{15})', text) == ["data:image/png;", "data:image/gif;"]
    assert "prefers-color-scheme: dark" in text


def test_every_text_is_escaped(frames, tmp_path):
    body = (
        page.figure(strip(frames), EVIL) + page.animation(encode_animation(frames), EVIL) + page.fold(EVIL, EVIL)
        + page.table([{EVIL: EVIL}], [EVIL]) + page.cards([Card(EVIL, EVIL, EVIL)]) + page.chart("<svg></svg>", EVIL)
    )  # fmt: skip
    write_page(tmp_path / "p.html", EVIL, EVIL, EVIL, [Section(EVIL, EVIL, body)])
    text = (tmp_path / "p.html").read_text()
    assert "<script" not in text and not Tags(text).open
    assert text.count("&lt;script&gt;") == 18  # captions twice each: below the image and as its alternative text


def test_the_command_is_shown_to_the_letter(tmp_path):
    write_page(tmp_path / "p.html", "t", "", "ergosum show --timeline 'scale:3 colour:9' && echo", [])
    text = (tmp_path / "p.html").read_text()
    assert "<code>ergosum show --timeline &#x27;scale:3 colour:9&#x27; &amp;&amp; echo</code>" in text
    write_page(tmp_path / "p.html", "t", "", "", [])
    assert "<code>" not in (tmp_path / "p.html").read_text()


def test_sections_without_a_body_are_left_out(tmp_path):
    write_page(tmp_path / "p.html", "t", "", "", [Section("Empty", "No body", ""), Section("Full", "", "<p>x</p>")])
    text = (tmp_path / "p.html").read_text()
    assert ">Empty<" not in text and "No body" not in text and "<h2>Full</h2>" in text
    assert page.row("", "") == page.cards([]) == page.chart("", "caption") == page.table([], ["a"]) == ""


def test_an_animation_is_embedded_to_the_byte_from_bytes_or_path(frames, tmp_path):
    save_animation(frames, tmp_path / "a.gif")
    content = (tmp_path / "a.gif").read_bytes()
    assert page.animation(tmp_path / "a.gif", "c") == page.animation(content, "c")
    assert base64.b64encode(content).decode() in page.animation(content, "c")
    with pytest.raises(ValueError, match="GIF or PNG"):
        page.animation(b"RIFF....", "c")


def cells(html):
    return re.findall(r"<td(?: class=\"?(\w+)\"?)?>(.*?)</td>", html)


def test_missing_numbers_are_en_dashes_and_a_column_shares_its_decimals():
    rows = [{"row": "a", "x": 0.5}, {"row": "b", "x": None}, {"row": "c", "x": float("nan")}]
    html = page.table([*rows, {"row": "d", "x": -12.25}], ["row", "x", "absent"])
    assert [v for _, v in cells(html)] == ["a", "0.50", "–", "b", "–", "–", "c", "–", "–", "d", "−12.25", "–"]


def test_the_best_of_a_column_is_bold_and_references_do_not_compete():
    values = {"truth": (0.1, 9.0), "ours": (0.2, 8.0), "net": (0.3, 8.5)}
    rows = [{"row": name, "e": e, "p": p} for name, (e, p) in values.items()]
    best = {"e": "min", "p": "max"}
    html = page.table(rows, {"row": "", "e": "E", "p": "P"}, best, "ours", aside=("truth",), decimals={"e": 1})
    assert [v for kind, v in cells(html) if kind == "best"] == ["0.2", "8.50"]
    assert "<th>E\u00a0↓</th>" in html and "<th>P\u00a0↑</th>" in html
    assert html.count("<tr class=emphasis>") == html.count("<tr class=aside>") == 1


def test_nothing_is_best_without_a_competitor():
    html = page.table([{"row": "ours", "e": 0.2}, {"row": "net", "e": None}], ["row", "e"], {"e": "min"})
    assert "class=best" not in html


def test_yes_and_no_are_told_apart_without_colour():
    html = page.table([{"row": "a", "met": True}, {"row": "b", "met": False}], ["row", "met"])
    assert "✓ yes" in html and "✗ no" in html
