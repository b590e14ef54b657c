"""A web server for tests: ranges, broken connections, and the two stores' ways to name a file."""

from __future__ import annotations

import http.server
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

MODIFIED = "Sat, 21 Nov 2026 00:00:00 GMT"  # of every file, whatever is in it


@dataclass
class Server:
    """Files by path, what was asked for, and how the server misbehaves.

    Attributes:
        files: path such as "/bucket/a.tar" → content.
        asked: (method, path, Range header or None), in order.
        cut: after how many bytes each answer breaks off; used up one by one.
        ranges: whether it can send a part.
        tags: whether it says which version of a file it sends.
        denied: whether it refuses everything.
        pause: seconds that it waits after each 10,000 bytes.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    ranges: bool = True
    tags: bool = True
    denied: bool = False
    pause: float = 0.0
    url: str = ""

    def gets(self) -> list[str | None]:
        """The Range headers of the files that were asked for."""
        return [asked for method, _, asked in self.asked if method == "GET"]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD from `state`."""

    state: Server

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Send the head alone."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Send a file or a part of it."""
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.state.asked.append((self.command, path, self.headers.get("Range")))
        if self.state.denied or path not in self.state.files:
            self.send_response(403 if self.state.denied else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        whole = self.state.files[path]
        start, stop = self._range(whole)
        if start >= len(whole) > 0:
            self.send_error(416)
            return
        self.send_response(206 if self._honoured(whole) else 200)
        self._headers(whole, start, stop)
        if body:
            cut = self.state.cut.pop(0) if self.state.cut else stop - start
            self._send(whole[start : min(stop, start + cut)])
        self.close_connection = True

    def _send(self, content: bytes) -> None:
        for begin in range(0, len(content), 10_000):
            self.wfile.write(content[begin : begin + 10_000])
            time.sleep(self.state.pause)

    def _honoured(self, whole: bytes) -> bool:
        """Whether a part was asked for and is sent."""
        same = self.headers.get("If-Range") in (None, tag_of(whole), MODIFIED)
        return bool(self.headers.get("Range")) and self.state.ranges and same

    def _range(self, whole: bytes) -> tuple[int, int]:
        if not self._honoured(whole):
            return 0, len(whole)
        start, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        return int(start), int(last) + 1 if last else len(whole)

    def _headers(self, whole: bytes, start: int, stop: int) -> None:
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(whole)}")
        self.send_header("Last-Modified", MODIFIED)
        if self.state.tags:
            self.send_header("ETag", tag_of(whole))
        self.end_headers()


def tag_of(content: bytes) -> str:
    """A strong ETag."""
    return f'"{hash(content):x}"'


def start_server() -> tuple[Server, http.server.ThreadingHTTPServer]:
    """Start a server on a free port of this machine."""
    state = Server()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("H", (Handler,), {"state": state})
    )
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return state, server
