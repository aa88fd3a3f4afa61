"""A browser without a window, and what scripts find wrong with a page in it."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What reaches past the right edge of the window. Names in the heads of a table are cut off by it.
TOO_WIDE = """
    const width = document.documentElement.clientWidth;
    return [...document.querySelectorAll("body *:not(th *)")]
        .filter(element => element.getBoundingClientRect().right > width + 0.5)
        .map(element => `${element.tagName} ${element.getAttribute("class")}`);
"""
# Words and lines of a chart that reach out of it.
CUT_OFF = """
    return [...document.querySelectorAll("svg text, svg .line")].filter(text => {
        const inner = text.getBoundingClientRect();
        const outer = text.closest("svg").getBoundingClientRect();
        return inner.left < outer.left - 0.5 || inner.right > outer.right + 0.5;
    }).map(text => text.textContent || "a line");
"""

# Words of a table of which a part is not shown, and numbers that are broken over lines.
CLIPPED = """
    const broken = element => {
        const range = document.createRange();
        range.selectNodeContents(element);
        return new Set([...range.getClientRects()].map(each => Math.round(each.top))).size > 1;
    };
    return [...document.querySelectorAll("th, td")].filter(cell =>
        cell.scrollWidth > cell.clientWidth + 1 || cell.scrollHeight > cell.clientHeight + 1 ||
        (cell.closest("tbody") && /^[0-9.,%+−±k]+$/.test(cell.innerText.trim()) && broken(cell))
    ).map(cell => cell.innerText);
"""
# Words broken over lines where they have neither a space nor a hyphen.
BROKEN = """
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const upright = getComputedStyle(node.parentElement).writingMode.startsWith("vertical");
        if (upright || node.parentElement.closest("svg, style")) continue;
        for (const word of node.data.matchAll(/[^\\s\\/–-]+/g)) {
            const range = document.createRange();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            const tops = [...range.getClientRects()].map(each => Math.round(each.top));
            if (new Set(tops).size > 1) found.push(word[0]);
        }
    }
    return found;
"""
# Rows of a table whose cells do not stand side by side; on a phone those of the running bot's state do not.
STACKED = """
    return [...document.querySelectorAll("main tbody tr")].filter(row => new Set(
        [...row.querySelectorAll("td")].map(each => Math.round(each.getBoundingClientRect().top))
    ).size > 1).map(row => row.innerText);
"""
# Words of a chart that lie over one another, or nearly.
OVERLAPS = """
    const found = [];
    for (const svg of document.querySelectorAll("svg")) {
        const lines = [...svg.querySelectorAll("text")].flatMap(text => {
            const spans = [...text.querySelectorAll("tspan")];
            return (spans.length ? spans : [text])
                .map(each => [each.textContent, each.getBoundingClientRect()]);
        }).filter(([words, box]) => words.trim() && box.width);
        lines.forEach(([words, a], place) => lines.slice(place + 1).forEach(([others, b]) => {
            const beside = a.left < b.right + 3 && b.left < a.right + 3;
            const level = a.top + 2 < b.bottom && b.top + 2 < a.bottom;
            if (beside && level) found.push(`${words} | ${others}`);
        }));
    }
    return found;
"""
# Words with less contrast than WCAG's level AA asks for.
FAINT = """
    const parts = text => text.match(/[0-9.]+/g).map(Number);
    const light = colour => parts(colour).slice(0, 3).map(each => each / 255)
        .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
        .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
    const ground = element => {
        const colour = getComputedStyle(element).backgroundColor;
        return parts(colour)[3] === 0 ? ground(element.parentElement) : colour;
    };
    return [...document.querySelectorAll("body *")].map(element => {
        const own = [...element.childNodes].some(each => each.nodeType === 3 && each.data.trim());
        if (!own || !element.getClientRects().length) return null;
        const style = getComputedStyle(element);
        const words = light(element.closest("svg") ? style.fill : style.color);
        const [low, high] = [words, light(ground(element))].sort((a, b) => a - b);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        const ratio = (high + 0.05) / (low + 0.05);
        return ratio < (large ? 3 : 4.5) ? `${ratio.toFixed(1)}: ${element.textContent}` : null;
    }).filter(Boolean);
"""


def programs():
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    missing = "no Chromium with chromedriver (on Debian: apt-get install chromium chromium-driver)"
    return pytest.fail(missing) if os.environ.get("CHROMIUM_REQUIRED") else pytest.skip(missing)


@contextmanager
def opened(profile):
    """Where there is none, its test is skipped, or fails."""
    chromium, driver = programs()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*QUIET, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


def show(browser, address, *, width, scheme):
    """Open a page as a device of that width and colour scheme does."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for log in ("browser", "performance"):
        browser.get_log(log)  # what came before
    browser.get(address)


def requested(browser):
    messages = (json.loads(each["message"])["message"] for each in browser.get_log("performance"))
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def found_fault_with(browser):
    """What is cut off, broken, heaped up or faint, by the kind of fault."""
    kinds = {
        "cut off": CUT_OFF,
        "clipped": CLIPPED,
        "broken": BROKEN,
        "stacked": STACKED,
        "overlaps": OVERLAPS,
        "faint": FAINT,
    }
    found = {kind: browser.execute_script(script) for kind, script in kinds.items()}
    return {kind: those for kind, those in found.items() if those}
