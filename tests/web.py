"""A web server on loopback that gives disk images, and misbehaves where it is asked to."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
import urllib.parse
from pathlib import Path


class Web:
    """Serves the files of `folder`. Paths beginning with a misdeed's name are met with that misdeed.

    `gate`: what is under `/held/` comes only once it is open, but for its first bytes. `asked` are the paths that were asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = threading.Event()
        self.asked: list[str] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                web.asked.append(self.path)
                with contextlib.suppress(OSError):
                    web.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        _, deed, *rest = urllib.parse.unquote(request.path).split("/", 2)
        match deed:
            case "to":  # /to/http:/…: a redirect
                self._head(request, 302, Location=rest[0], Content_Length="0")
            case "round":
                self._head(request, 302, Location=request.path, Content_Length="0")
            case "status":
                self._head(request, int(rest[0]), Content_Length="0")
            case "truncated":
                data = self._file(rest[0])
                self._head(request, 200, Content_Length=str(len(data)))
                request.wfile.write(data[: len(data) // 2])
                request.close_connection = True
                request.connection.shutdown(socket.SHUT_RDWR)
            case "endless":
                self._head(request, 200, Transfer_Encoding="chunked")
                while True:
                    request.wfile.write(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            case "unmeasured":
                self._head(request, 200, Connection="close")
                request.wfile.write(self._file(rest[0]))
                request.close_connection = True
            case "gzip":
                self._head(request, 200, Content_Length="3", Content_Encoding="gzip")
                request.wfile.write(b"abc")
            case "huge":
                self._head(request, 200, Content_Length=str(1 << 50))
            case "held":
                data = self._file(rest[0])
                self._head(request, 200, Content_Length=str(len(data)))
                request.wfile.write(data[:1000])
                self.gate.wait(60)
                request.wfile.write(data[1000:])
            case "silent":
                time.sleep(5)
            case _:
                data = self._file(request.path[1:])
                self._head(request, 200, Content_Length=str(len(data)))
                request.wfile.write(data)

    def _file(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def _head(self, request: http.server.BaseHTTPRequestHandler, status: int, **headers: str) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
