"""Headless Chromium by the DevTools protocol, through a pair of pipes: no driver, no socket."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60.0


class Browser:
    """One browser with one page; what it logs and asks for is collected.

    Attributes:
        errors: what the console says at the level of an error, and uncaught exceptions.
        requests: the URLs that were asked for, but for those that the page's policy has blocked.
    """

    def __init__(self) -> None:
        program = next((found for name in NAMES if (found := shutil.which(name))), None)
        # A failure and no skip: without a browser nothing of the page is tested.
        assert program, "the tests of report.html need Chromium: apt-get install chromium"
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._events: list[str] = []
        self._urls: dict[str, str] = {}
        self._count, self._rest = 0, b""
        self._profile = tempfile.mkdtemp(prefix="lada-chromium-")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        arguments = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                     "--disable-dev-shm-usage", "--remote-debugging-pipe", "--hide-scrollbars",
                     "--disable-background-networking", f"--user-data-dir={self._profile}",
                     "about:blank"]  # fmt: skip
        # The protocol is spoken on descriptors 3 and 4, whatever the pipes have here.
        moved = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", moved, "chromium", *arguments],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def open(self, file: Path, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Open a file in a window of this size."""
        self.errors.clear()
        self.requests.clear()
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="", features=[scheme])
        self._events.clear()
        self.call("Page.navigate", url=file.as_uri())
        while "Page.loadEventFired" not in self._events:
            self._next()

    def resize(self, width: int, height: int) -> None:
        """Give the page's window another size, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)  # fmt: skip

    def run(self, script: str) -> Any:
        """The value of an expression in the page; it may be a promise."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key of the keyboard, such as Tab or ArrowRight."""
        for kind in ("rawKeyDown", "keyUp"):
            code = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowRight": 39}[key]
            text = {"text": "\r"} if key == "Enter" and kind == "rawKeyDown" else {}
            self.call("Input.dispatchKeyEvent", type="keyDown" if text else kind, key=key,
                      code=key, windowsVirtualKeyCode=code, **text)  # fmt: skip

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """Save what the window shows, or the whole page, as a PNG."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(found["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        found = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(found["data"])

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _next(self) -> dict[str, Any]:
        """The next message; events are noted."""
        end = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"Chromium has not answered within {SECONDS:g} seconds"
            part = os.read(self._in, 1 << 20)
            assert part, "Chromium has ended"
            self._rest += part
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, said: dict[str, Any]) -> None:
        self._events.append(event)
        if event == "Runtime.exceptionThrown":
            self.errors.append(str(said["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning"):
            self.errors.append(str(said["args"]))
        elif event == "Log.entryAdded":
            self.errors.append(said["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self._urls[said["requestId"]] = said["request"]["url"]
            self.requests.append(said["request"]["url"])
        elif event == "Network.loadingFailed" and said.get("blockedReason") == "csp":
            self.requests.remove(self._urls[said["requestId"]])
