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
