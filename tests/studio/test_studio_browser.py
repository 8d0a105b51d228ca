"""The page in a real browser: each table's main gesture, by pointer and by keyboard, on a desk and on a phone."""

import json
import re
import urllib.parse

import pytest
from PIL import Image, ImageDraw

from ergosum.temporal.timeline import parse_timeline

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

DESK, PHONE = (1280, 1100), (400, 900)
QUICK = "cards=colour&timeline=colour:3&start=digits:7"
TINY_PLANE = "formula=ring+%26+0.5*~box&steps=60&chains=20"
TINY_DRAWS = "model=mnist-density&formula=three&n=4&steps=10"
PIECES = "model=tetrominoes&a=held-out:0&b=held-out:9"


class Page:
    """A page of the studio in a browser."""

    def __init__(self, driver, address):
        self.driver, self.address = driver, address

    def open(self, fragment, size=DESK):
        self.driver.get("about:blank")
        told = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", told)
        self.driver.get(f"{self.address}/#{fragment}")
        self.until(lambda: self.js("return document.documentElement.dataset.ready"))
        self.table = self.js("return document.querySelector('nav a[aria-current]').dataset.table")
        return self

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, f"#table-{self.table} {selector}")

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, f"#table-{self.table} {selector}")

    def until(self, reached, seconds=90):
        wait = WebDriverWait(self.driver, seconds, 0.1, [StaleElementReferenceException])
        return wait.until(lambda _: reached())

    def text(self, selector):
        return self.one(selector).text

    def value(self, selector):
        return self.js("return arguments[0].value", self.one(selector))

    def press(self, selector):
        element = self.one(selector)
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def write(self, selector, text):
        """Replace what a field holds, and confirm it."""
        self.press(selector)
        self.one(selector).send_keys(Keys.CONTROL + "a")
        ActionChains(self.driver).key_up(Keys.CONTROL).perform()
        self.one(selector).send_keys(text, Keys.ENTER)

    def drag(self, element, by, to=None):
        """From an element by so many pixels, or onto the middle of another and from there."""
        self.js("arguments[0].scrollIntoView({block: 'center'})", element if to is None else to)
        hand = ActionChains(self.driver, duration=40).move_to_element(element).click_and_hold()
        if to is not None:
            hand = hand.move_by_offset(8, 4).move_to_element(to)
        hand.move_by_offset(*by).move_by_offset(1, 0).move_by_offset(-1, 0).release().perform()

    def slide(self, selector, value):
        self.js("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
                self.one(selector), str(value))  # fmt: skip

    @property
    def state(self):
        """What the address says."""
        query = self.driver.current_url.partition("?")[2]
        return dict(urllib.parse.parse_qsl(query))

    def place_of(self, part):
        """Where the address has a component of the sum."""
        return tuple(map(float, re.search(rf"{part}@([-\d.]+),([-\d.]+)", self.state["take"]).groups()))

    def frames(self):
        return len(self.all(".made li"))

    def no_overflow(self):
        wide, window = self.js("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide <= window


@pytest.fixture
def page(driver, listening):
    yield Page(driver, listening.address)
    said = [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"]
    said = [line for line in said if "status of 4" not in line]  # what was refused
    assert said == []
    hosts = driver.execute_script("return performance.getEntries().map(e => e.name).filter(n => n.startsWith('http'))")
    assert all(name.startswith(listening.address) for name in hosts)


def test_bars_are_carried_drawn_moved_resized_and_turned_by_the_pointer(page):
    page.open("change?" + QUICK)
    page.until(lambda: page.frames() == 4)
    label, lane = page.one(".track-label"), page.one(".lane")
    column = lane.size["width"] / 14
    assert page.value(".timeline") == "colour:3"
    # from its label onto column 8, which is frame 8: bars begin after the start frame
    ActionChains(page.driver, duration=60).click_and_hold(label).move_to_element_with_offset(
        lane, round(8.5 * column - lane.size["width"] / 2), 0
    ).release().perform()
    page.until(lambda: page.value(".timeline") == "colour:3 still:4 colour:3")
    page.until(lambda: page.frames() == 11)
    _, second = page.all(".bar")
    page.drag(second, (round(-2 * column), 0))
    page.until(lambda: page.value(".timeline") == "colour:3 still:2 colour:3")
    page.drag(page.all(".bar")[1].find_element(By.CSS_SELECTOR, ".grip.end"), (round(column), 0))
    page.until(lambda: page.value(".timeline") == "colour:3 still:2 colour:4")
    ActionChains(page.driver).double_click(page.all(".bar .sign")[1]).perform()
    page.until(lambda: page.value(".timeline") == "colour:3 still:2 colour:-4")
    page.until(lambda: page.frames() == 10 and page.state["timeline"] == "colour:3 still:2 colour:-4")


def test_a_timeline_is_made_by_keyboard_alone(page):
    page.open("change?" + QUICK)
    page.until(lambda: page.frames() == 4)
    label = page.one(".track-label")
    label.send_keys(Keys.ENTER)
    page.until(lambda: page.value(".timeline") == "colour:6")
    for keys, expected in (
        (Keys.ARROW_RIGHT, "colour:3 still:1 colour:3"),
        (Keys.SHIFT + Keys.ARROW_LEFT, "colour:3 still:1 colour:2"),
        ("f", "colour:3 still:1 colour:-2"),
        (Keys.ARROW_DOWN, "colour:3 still:1 colour*0.9:-2"),
    ):
        page.all(".bar")[1].send_keys(keys)
        ActionChains(page.driver).key_up(Keys.SHIFT).perform()
        page.until(lambda text=expected: page.value(".timeline") == text)
    assert page.js("return document.activeElement.classList.contains('bar')"), "the bar keeps the focus"
    assert "backwards" in page.all(".bar")[1].get_attribute("aria-label")
    page.all(".bar")[1].send_keys(Keys.DELETE)
    page.until(lambda: page.value(".timeline") == "colour:3")


def test_a_link_opens_what_it_was_copied_from(page):
    page.open("change?" + QUICK)
    page.until(lambda: page.frames() == 4)
    page.press("[data-digit='3']")
    page.until(lambda: page.state.get("start") == "digits:3")
    address = page.driver.current_url
    page.open(urllib.parse.urlparse(address).fragment)
    page.until(lambda: page.frames() == 4)
    assert page.one("[data-digit='3']").get_attribute("aria-pressed") == "true" and page.state["timeline"] == "colour:3"


def test_a_drawn_digit_is_steered(page):
    page.open("change?" + QUICK)
    page.until(lambda: page.frames() == 4)
    pad = page.one(".pad")
    page.js("arguments[0].scrollIntoView({block: 'center'})", pad)
    ActionChains(page.driver, duration=60).move_to_element_with_offset(pad, 0, -45).click_and_hold().move_by_offset(
        0, 90
    ).release().perform()
    page.until(lambda: page.state["start"].startswith("upload:"))
    page.until(lambda: page.frames() == 4 and "made red" in page.text(".notes"))
    assert page.one(".truth").is_displayed() is False
    red = page.js(
        "const c = document.createElement('canvas'); c.width = c.height = 28; const p = c.getContext('2d');"
        "p.drawImage(arguments[0], 0, 0); return [...p.getImageData(14, 14, 1, 1).data]",
        page.all(".made img")[0],
    )
    assert red[0] > 200 and red[1] == red[2] == 0


def test_a_file_that_cannot_be_read_is_told_beside_where_it_was_given(page, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    page.open("change?" + QUICK)
    page.until(lambda: page.frames() == 4)
    page.one(".file").send_keys(str(tmp_path / "broken.png"))
    told = page.until(lambda: page.all("[data-field~=start] .problem"))[0]
    assert "it is none of PNG" in told.text and told.get_attribute("role") == "alert"
    page.write(".timeline", "hue:3")
    told = page.until(lambda: page.all("[data-field=timeline] .problem"))[0]
    assert "unknown factor 'hue'" in told.text
    described = page.one(".timeline")
    assert described.get_attribute("aria-invalid") == "true"
    assert described.get_attribute("aria-describedby") == told.get_attribute("id")
    page.write(".timeline", "colour:1")
    page.until(lambda: page.frames() == 2 and not page.all(".problem"))


def test_the_page_reads_and_writes_timelines_as_the_library_does(page):
    page.open("change?" + QUICK)
    factors = ("colour", "angle", "scale")
    texts = ["scale:3 colour:9", "colour+angle:-4", "angle*0.5:6 still:2 scale:-1", "colour*-0.5+angle*2:3",
             "colour:2 colour+angle:2 angle:2", "still:2 colour:1", "colour*.25:-3"]  # fmt: skip
    script = (
        "const done = arguments[arguments.length - 1]; import('/page/timeline.js').then(({parsed, written}) =>"
        "done(arguments[0].map(t => written(parsed(t), arguments[1]))))"
    )
    made = page.driver.execute_async_script(script, texts, list(factors))
    for text, again in zip(texts, made, strict=True):
        assert list(parse_timeline(again, factors)) == list(parse_timeline(text, factors)), (text, again)
    script = script.replace("written(parsed(t), arguments[1])", "parsed(t)")
    assert page.driver.execute_async_script(script, ["colour:0", "colour", "col our:x", "+:3"]) == [None] * 4


def test_an_energy_is_dropped_on_the_plane_and_weighed_and_negated(page):
    page.open("landscape?" + TINY_PLANE)
    page.until(lambda: "60 of 60" in page.text(".count"))
    chip = next(chip for chip in page.all(".chip") if chip.text == "top")
    page.drag(chip, (0, 0), page.one(".plane"))
    page.until(lambda: page.state["formula"] == "ring & 0.5*~box & top")
    assert [term.text for term in page.all(".term .name")] == ["ring", "box", "top"]
    page.all(".term .sign")[2].click()
    page.until(lambda: page.state["formula"] == "ring & 0.5*~box & ~top")
    page.all(".term input")[2].send_keys(Keys.ARROW_RIGHT)
    page.until(lambda: page.state["formula"] == "ring & 0.5*~box & 1.05*~top")
    page.all(".term .remove")[0].click()
    page.until(lambda: page.all("[data-field=formula] .problem"))
    assert "negation alone" in page.text("[data-field=formula] .problem")


def test_a_broken_sampler_is_called_biased(page):
    page.open("landscape?formula=slanted&steps=200&chains=200&sampler=half-noise")
    page.until(lambda: "Off by" in page.text(".verdict"))
    page.js("const s = arguments[0]; s.value = 'mala'; s.dispatchEvent(new Event('change'))", page.one(".sampler"))
    page.until(lambda: "of the truth" in page.text(".verdict"))
    assert float(page.text(".acceptance")) > 0.3 and float(page.text(".rhat")) < 1.1
    page.slide(".temperature", 0.3)
    page.until(lambda: page.state.get("temperature") == "2")


def test_a_formula_of_chips_is_drawn_and_judged(page):
    page.open("concepts?" + TINY_DRAWS)
    page.until(lambda: "4 draws are" in page.text(".verdict"))
    assert len(page.all(".draws canvas")) == 4
    next(chip for chip in page.all(".chip") if chip.text == "seven").click()
    page.until(lambda: page.state["formula"] == "three | seven")
    page.until(lambda: len(page.all(".tree li")) == 3)
    page.drag(next(chip for chip in page.all(".chip") if chip.text == "nine"), (0, 0), page.one(".draws"))
    page.until(lambda: page.state["formula"] == "three | seven | nine")
    page.all(".term input")[1].send_keys(Keys.ARROW_RIGHT)
    page.until(lambda: page.state["formula"] == "three | 1.05:seven | nine")
    page.write(".formula", "three &")
    told = page.until(lambda: page.all("[data-field=formula] .problem"))[0]
    assert "but the formula ends" in told.text and "^" in told.text


def test_a_place_is_told_by_a_click(page):
    page.open("concepts?model=solids&formula=red&n=1&steps=10")
    page.until(lambda: "draws are" in page.text(".verdict"))
    frame = page.one(".frame")
    page.js("arguments[0].scrollIntoView({block: 'center'})", frame)
    ActionChains(page.driver).move_to_element_with_offset(frame, -29, 29).click().perform()
    page.until(lambda: re.fullmatch(r"red & at\(0\.2\d*,0\.7\d*\)", page.state["formula"]))
    assert len(page.all(".frame span")) == 1
    page.until(lambda: "draws are" in page.text(".verdict"))
    page.all(".draws canvas")[0].click()
    page.until(lambda: page.state["formula"].count("at(") == 2)


def test_a_component_is_dragged_from_b_into_the_sum_and_moved(page):
    page.open("decompose?" + PIECES)
    page.until(lambda: len(page.all(".part")) == 8 and page.all(".made[src]"))
    assert page.state["take"] == "A:ground A:one A:two A:three"
    before = page.one(".made").get_attribute("src")
    page.drag(page.one("[data-part='B:two']"), (40, -60), page.one(".sum"))
    page.until(lambda: " B:two@" in page.state["take"])
    page.until(lambda: page.one(".made").get_attribute("src") != before)
    assert page.one("[data-part='B:two']").get_attribute("aria-pressed") == "true"
    x, y = place = page.place_of("B:two")
    side = page.one(".sum").size["width"]
    assert abs(x - 80 / side) < 0.08 and abs(y + 120 / side) < 0.08
    page.drag(page.one("[data-mark='B:two']"), (-60, 30))
    page.until(lambda: page.place_of("B:two") != place)
    u, v = page.place_of("B:two")
    assert abs(u - (x - 120 / side)) < 0.08 and abs(v - (y + 60 / side)) < 0.08
    page.one("[data-mark='B:two']").send_keys(Keys.ARROW_RIGHT)
    page.until(lambda: page.place_of("B:two") == (pytest.approx(u + 0.06, abs=0.011), v))
    page.one("[data-part='A:one']").send_keys(Keys.SPACE)
    page.until(lambda: "A:one" not in page.state["take"])
    page.press(".none")
    page.until(lambda: "Nothing is chosen" in page.text(".count"))


def test_runs_are_looked_at_and_compared(page):
    page.open("runs")
    page.until(lambda: page.all("[data-run=colour]"))
    page.press("[data-run=colour]")
    page.until(lambda: page.all(".curves svg"))
    page.press("[data-compare='group/again']")
    page.until(lambda: page.all(".recipes tbody tr"))
    assert "optimiser.iterations" in page.text(".recipes tbody") and page.state["runs"] == "colour group/again"
    report = page.one("a[target=_blank]")
    assert report.get_attribute("href").endswith("/api/report/colour")


def test_code_is_shown_where_it_cannot_be_copied(page):
    page.open("landscape?" + TINY_PLANE)
    page.until(lambda: "60 of 60" in page.text(".count"))
    page.press(".as-code summary")
    page.until(lambda: page.text("[aria-label=Command]").startswith("ergosum sample 'ring & 0.5*~box'"))
    assert "sample_plane(" in page.text("[aria-label=Python]")


TABLES = (
    "change?" + QUICK,
    "landscape?" + TINY_PLANE,
    "concepts?" + TINY_DRAWS,
    "decompose?" + PIECES,
    "runs?runs=colour",
)
SIZES = [
    *(pytest.param(PHONE, table, id=f"phone-{table}") for table in TABLES),  # which has less room
    *(pytest.param(DESK, table, id=f"desk-{table}", marks=() if table == TABLES[0] else pytest.mark.slow)
      for table in TABLES),
]  # fmt: skip


@pytest.mark.parametrize("size, table", SIZES)
def test_a_table_fits_and_can_be_used_by_everyone(page, axe, table, size):
    done = {"change": ".made li:nth-child(4)", "landscape": ".verdict:not(:empty)", "concepts": ".verdict:not(:empty)",
            "decompose": ".side.b .part:last-child", "runs": ".curves svg"}  # fmt: skip
    page.open(table, size)
    page.until(lambda: page.all(done[table.partition("?")[0]]))
    page.no_overflow()
    page.js(axe)
    for theme in ("light", "dark"):
        page.js(
            "document.documentElement.dataset.theme = arguments[0]; document.dispatchEvent(new Event('theme'))", theme
        )
        found = page.driver.execute_async_script(
            "const done = arguments[arguments.length - 1]; axe.run(document, {resultTypes: ['violations']})"
            ".then(r => done(r.violations.map(v => [v.id, v.help, v.nodes.map(n => n.target.join(' ')).slice(0, 4)])))"
        )
        assert found == [], f"{theme}: {json.dumps(found, indent=1)}"


def test_a_phone_steers_with_a_finger_s_width(page):
    page.open("change?" + QUICK, PHONE)
    page.until(lambda: page.frames() == 4)
    page.press("[data-digit='5']")
    page.until(lambda: page.state["start"] == "digits:5")
    bar = page.one(".bar")
    page.js("arguments[0].scrollIntoView({block: 'center'})", bar)
    page.drag(bar, (36, 0))
    page.until(lambda: page.value(".timeline") == "still:1 colour:3")
    assert min(button.size["height"] for button in page.all("button") if button.is_displayed()) >= 24


@pytest.mark.slow
def test_a_film_is_read_back_into_a_timeline(page, tmp_path):
    frames = []
    for n in range(5):
        image = Image.new("RGB", (28, 28))
        ImageDraw.Draw(image).line((14, 5, 14, 22), (255, 40 * n, 0), 3)
        frames.append(image)
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:], duration=100)
    page.open("change?cards=digits-colour&timeline=colour:1")
    page.until(lambda: page.frames() == 2)
    page.one(".file").send_keys(str(tmp_path / "film.gif"))
    page.until(lambda: "Read: " in page.text(".reading .progress"), 300)
    assert "colour" in page.state["timeline"] and page.state["timeline"] != "colour:1"
