# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, and what it did: messages on its console, addresses it asked."""

import json
import os
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from .sluice import PATIENCE
from .tools import need

DESKTOP = (1280, 900)
PHONE = (375, 812)

# It may speak with this machine alone, and not even wish for anything else.
FLAGS = (
    "--headless=new",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-default-browser-check",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class Browser:
    """One window."""

    def __init__(self, directory):
        options = webdriver.ChromeOptions()
        options.binary_location = need("chromium", "/usr/lib64/chromium-browser")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        for flag in (*FLAGS, f"--user-data-dir={directory}"):
            options.add_argument(flag)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        service = Service(need("chromedriver", "/usr/lib64/chromium-browser"))
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_script_timeout(20 * PATIENCE)
        self.excused = []
        self._asked = {}

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def resize(self, width, height):
        """Of the page, not the window."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def open(self, url, size=DESKTOP, dark=False):
        """`dark` is what its user prefers."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.resize(*size)
        self.driver.get(url)

    def leave(self):
        """Look at nothing; what it did until now is forgotten."""
        self.driver.get("about:blank")
        self.console()
        self.asked()
        self._asked = {}
        self.excused = []

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def one(self, selector):
        """The first element that fits, or None."""
        found = self.driver.find_elements("css selector", selector)
        return found[0] if found else None

    def text(self, selector):
        """Of everything that fits, as it is shown."""
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter(e => e.getClientRects().length).map(e => e.innerText)"
        )
        return "\n".join(self.run(script, selector))

    def console(self):
        """What the page, or the browser about it, complained of since the last call, without what
        holds one of `excused`."""
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        return [message for message in said if not any(e in message for e in self.excused)]

    def asked(self):
        """Scheme and address of all that was ever requested, save what its policy kept from going
        out; chrome: is the browser's own first tab."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            about = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                url = urlsplit(about["request"]["url"])
                self._asked[about["requestId"]] = (url.scheme, url.netloc)
            elif message["method"] == "Network.loadingFailed" and "blockedReason" in about:
                self._asked.pop(about["requestId"], None)
        return {asked for asked in self._asked.values() if asked[0] not in ("chrome", "data")}

    def picture(self):
        """What is shown, as a PNG."""
        return self.driver.get_screenshot_as_png()

    def close(self):
        self.driver.quit()
