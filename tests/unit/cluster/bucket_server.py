"""A small store on this machine that speaks what s3:// and gs:// need: put, get, list, delete."""

from __future__ import annotations

import http.server
import re
import threading
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

FORBIDDEN = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
MISSING = "<Error><Code>NoSuchBucket</Code><Message>no such bucket</Message></Error>"
ABSENT = "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>"


class Store(http.server.ThreadingHTTPServer):
    """Bucket "mine" can be written, "readonly" read, "locked" neither; there are no others."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def _refused(self, writing: bool) -> bool:
        bucket = urlsplit(self.path).path.split("/")[1]
        if bucket == "locked" or (writing and bucket == "readonly"):
            self._send(403, FORBIDDEN.encode())
        elif bucket not in ("mine", "readonly"):
            self._send(404, MISSING.encode())
        else:
            return False
        return True

    def do_PUT(self) -> None:
        """Keep a file."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._refused(writing=True):
            self.server.files[unquote(urlsplit(self.path).path)] = content
            self._send(200)

    def do_POST(self) -> None:
        """S3's way to delete several."""
        content = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self._refused(writing=True):
            return
        names = re.findall(r"<Key>(.*?)</Key>", content)
        for name in names:
            self.server.files.pop(f"{urlsplit(self.path).path.rstrip('/')}/{name}", None)
        gone = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
        self._send(200, f"<DeleteResult>{gone}</DeleteResult>".encode())

    def do_DELETE(self) -> None:
        """Forget a file."""
        if not self._refused(writing=True):
            self.server.files.pop(unquote(urlsplit(self.path).path), None)
            self._send(204)

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self.do_GET()

    def do_GET(self) -> None:
        """Return a file or a list."""
        if self._refused(writing=False):
            return
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query)
        if "list-type" in asked:
            self._send(200, self._list(parts.path.strip("/"), asked.get("prefix", [""])[0]))
        elif unquote(parts.path) in self.server.files:
            self._send(200, self.server.files[unquote(parts.path)])
        else:
            self._send(404, ABSENT.encode())

    def _list(self, bucket: str, prefix: str) -> bytes:
        rows = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(content)}</Size><ETag>x</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for path, content in sorted(self.server.files.items())
            if (name := path.removeprefix(f"/{bucket}/")).startswith(prefix)
        )
        return (
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()
        )

    def _send(self, code: int, content: bytes = b"") -> None:
        self.send_response(code)
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
