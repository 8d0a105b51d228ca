"""Pictures of the studio's tables for docs/studio.md: `python docs/studio_pictures.py RUN OTHER` in a folder with runs.

Needs the extra `studio`, selenium, and Chromium with its driver. RUN and OTHER are names of two runs under `runs`.
"""

import io
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver

FIGURES = Path(__file__).parent / "figures"
WIDTH, HEIGHT = 1280, 800
READY = {
    "change": "document.querySelectorAll('.made li').length == 20",
    "landscape": "!document.querySelector('#table-landscape .verdict').matches(':empty')",
    "concepts": "!document.querySelector('#table-concepts .verdict').matches(':empty')",
    "decompose": "document.querySelectorAll('.side.b .part').length == 6 && document.querySelector('.made').src",
    "runs": "document.querySelector('.curves svg')",
}
"""What is on a table when it may be pictured."""


def main(runs: list[str]) -> None:
    """Start a studio, open every table, and save what it looks like."""
    served = subprocess.Popen(
        [sys.executable, "-m", "ergosum", "studio", "--port", "0", "--no-browser"], stdout=-1, text=True
    )
    assert served.stdout is not None
    address = served.stdout.readline().strip()
    driver = browser()
    try:
        for table, state in states(runs).items():
            driver.get("about:blank")
            driver.get(f"{address}#{table}?{state}")
            until(driver, f"document.documentElement.dataset.ready && {READY[table]}")
            time.sleep(2)
            FIGURES.joinpath(f"studio-{table}.png").write_bytes(pictured(driver))
            print(FIGURES / f"studio-{table}.png")
    finally:
        driver.quit()
        served.terminate()


def states(runs: list[str]) -> dict[str, str]:
    """A state of each table, as its address has it."""
    sum_of = "A:ground+A:one+A:two+A:five+B:three@0.45,-0.35+B:five@-0.5,0.45"
    return {
        "change": "start=mnist-1000:2&timeline=scale:3+colour:6+colour%2Bangle:6+angle:-4",
        "landscape": "formula=ring+%26+0.5*~box&steps=500",
        "concepts": "formula=three+%7C+seven+%26+~zero&n=16&steps=60",
        "decompose": f"model=scenes-objects&a=held-out:0&b=held-out:3&take={sum_of}",
        "runs": f"runs={'+'.join(runs)}",
    }


def browser() -> webdriver.Chrome:
    """Headless Chromium of a fixed size."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{word}")
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    resize(driver, HEIGHT)
    return driver


def resize(driver: webdriver.Chrome, height: int) -> None:
    """Set the size of the window's inside."""
    told = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", told)


def until(driver: webdriver.Chrome, condition: str, seconds: float = 300) -> None:
    """Wait for a condition in JavaScript.

    Raises:
        TimeoutError: if it does not come true.
    """
    end = time.monotonic() + seconds
    while not driver.execute_script(f"return Boolean({condition})"):
        if time.monotonic() > end:
            raise TimeoutError(f"{condition} did not come true within {seconds:g} s.")
        time.sleep(0.2)


def pictured(driver: webdriver.Chrome) -> bytes:
    """The whole page as a small PNG."""
    resize(driver, driver.execute_script("return document.documentElement.scrollHeight"))
    image = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    resize(driver, HEIGHT)
    buffer = io.BytesIO()
    image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:3])
