"""Timelines as text and as data."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergosum.temporal.timeline import STILL, Segment, Timeline, parse_timeline

NAMES = st.builds(str.__add__, st.sampled_from("abyz_"), st.text("abz059_-", max_size=6)).filter(lambda n: n != STILL)
SPEEDS = st.one_of(st.sampled_from([1.0, -1.0, 0.5, 2.0]), st.floats(-9, 9).filter(lambda v: abs(v) > 1e-9))
SEGMENTS = st.builds(
    lambda moves, frames: Segment(tuple(moves.items()), frames),
    st.dictionaries(NAMES, SPEEDS, max_size=3), st.integers(1, 40),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.builds(lambda s: Timeline(tuple(s)), st.lists(SEGMENTS, min_size=1, max_size=4)))
def test_what_is_printed_reads_back_as_the_same_timeline(timeline):
    assert parse_timeline(str(timeline)) == timeline


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:+*-.,0123 ", max_size=14))
def test_any_text_is_read_or_refused_by_a_value_error(text):
    try:
        timeline = parse_timeline(text)
    except ValueError as error:
        assert str(error).startswith("Timeline: ")
    else:
        assert parse_timeline(str(timeline)) == timeline and timeline.frames >= 1


@pytest.mark.parametrize(
    "text", ["scale:3 colour:9", "colour+angle:-4", "angle*0.5:6", "a*2+b*-0.25:3", "a*0.00001:1", "still:2 a:3"]
)
def test_the_shortest_form_prints_as_it_was_written(text):
    assert str(parse_timeline(text)) == text


def test_a_timeline_yields_the_moves_of_each_frame():
    timeline = parse_timeline("scale:2, colour+angle*0.5:-1")
    assert list(timeline) == [{"scale": 1}, {"scale": 1}, {"colour": -1, "angle": -0.5}]
    assert timeline.frames == 3 and timeline.factors == ("scale", "colour", "angle")


def test_a_negative_count_goes_backwards():
    assert list(parse_timeline("angle:-2")) == list(parse_timeline("angle*-1:2")) == [{"angle": -1.0}] * 2


@pytest.mark.parametrize(
    "text, message",
    [
        ("colour:3 scale", "cannot read 'scale'; expected FACTOR:FRAMES"),
        ("colour:x", "cannot read 'colour:x'"),
        ("colour:1.5", "cannot read 'colour:1.5'"),
        ("colour:3 scale:0", "'scale:0' has no frames"),
        ("colour+:3", "cannot read '' in 'colour+:3'"),
        ("colour*fast:3", r"cannot read 'colour\*fast'"),
        ("colour+colour:3", "'colour' is named twice in 'colour+colour:3'"),
        ("hue:3", "unknown factor 'hue'; the energies given are colour, scale"),
        ("still:-2", "'still:-2' has no direction"),
        ("still+a:2", "'still' stands alone"),
        ("still*2:2", "'still' stands alone"),
        ("  ", "got nothing"),
    ],
)
def test_errors_name_the_offending_part(text, message):
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        parse_timeline(text, ("colour", "scale"))
