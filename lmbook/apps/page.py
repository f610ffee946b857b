"""A small web page for one program: on this machine only, with the model's work in a thread of its own.

    page = Page("generate", {"write": write})      # lmbook/apps/pages/generate.html, page.css, page.js, ...
    page.serve(port=None)                          # prints the address; Ctrl+C ends it
    with page.running() as address: ...            # the same beside other work, as in a test

The page sends `POST /write` with a JSON object, or with the bytes of a file. An action takes the object as
a dict (of a file: its bytes under "file", and the address's query) and returns a dict, which is answered as
JSON, or an iterator of dicts, each sent as a line of JSON as soon as it is there. All actions run in one
thread, one step of an iterator at a time: two tabs take turns, the page stays alive, and a tab that is closed
ends its work before the next step. So nothing that belongs to the thread, like `no_grad`, may span a `yield`.

What an action raises as `ValueError` is shown to the reader as it stands: say what is wrong and what to do.

Only this machine can ask, and only the page itself: another `Host` or `Origin` is refused, and so is a
request that a foreign page could send without asking (a form), since that has none of our content types.
"""

import asyncio
import json
import math
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from lmbook.backend import require

HERE = "127.0.0.1"
MOST = 1_000_000  # bytes of a request, unless a page says otherwise
WAITING = 8  # requests at a time
KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_END = object()

Given = dict[str, Any]
Action = Callable[[Given], Mapping[str, Any] | Iterator[Mapping[str, Any]]]


class Page:
    """The file `pages/NAME.html` with what it links to, and the actions behind it, by name.

    `most` is the largest request in bytes. Raises `MissingDependency` without Tornado.
    """

    def __init__(self, name: str, actions: Mapping[str, Action], most: int = MOST) -> None:
        require("tornado.web", "book", "a page in the browser")
        folder = files("lmbook.apps") / "pages"
        self.files = {entry.name: entry.read_bytes() for entry in folder.iterdir()}
        self.files[""] = self.files[f"{name}.html"]
        self.name, self.actions, self.most = name, dict(actions), most
        self.requests = 0

    def serve(self, port: int | None = None, say: Callable[[str], object] = print) -> None:
        """Serve until Ctrl+C, at any free port or at `port`; `say` gets the address.

        Raises `OSError` for a port that cannot be used.
        """
        with suppress(KeyboardInterrupt):
            asyncio.run(self._run(port, lambda address: say(f"{address}  (Ctrl+C ends it)")))

    @contextmanager
    def running(self, port: int | None = None) -> Iterator[str]:
        """Serve in a thread of its own while the block runs; gives the address."""
        started: dict[str, Any] = {}
        ready = threading.Event()

        def note(address: str) -> None:
            started.update(address=address, loop=asyncio.get_running_loop())
            started["task"] = asyncio.current_task()
            ready.set()

        def work() -> None:
            try:
                asyncio.run(self._run(port, note))
            except asyncio.CancelledError:
                pass
            except OSError as error:
                started["error"] = error
            finally:
                ready.set()

        thread = threading.Thread(target=work, name=f"page {self.name}", daemon=True)
        thread.start()
        ready.wait()
        if "error" in started:
            raise started["error"]
        try:
            yield started["address"]
        finally:
            started["loop"].call_soon_threadsafe(started["task"].cancel)
            thread.join()

    async def _run(self, port: int | None, ready: Callable[[str], object]) -> None:
        server_of = require("tornado.httpserver", "book", "a page in the browser").HTTPServer
        door = socket.create_server((HERE, port or 0))
        door.setblocking(False)
        number = door.getsockname()[1]
        with ThreadPoolExecutor(1, "model") as thread:
            # What is beyond `most` is read and dropped by the handler, which then can say so.
            server = server_of(_application(self, number, thread), max_body_size=64 * self.most)
            server.add_socket(door)
            try:
                ready(f"http://{HERE}:{number}/")
                await asyncio.Event().wait()
            finally:
                server.stop()
                await server.close_all_connections()


def _application(page: Page, port: int, thread: ThreadPoolExecutor) -> Any:
    """Tornado's application for a page."""
    web: Any = require("tornado.web", "book", "a page in the browser")
    closed = require("tornado.iostream", "book", "a page in the browser").StreamClosedError
    hosts = (f"{HERE}:{port}", f"localhost:{port}")

    @web.stream_request_body
    class Handler(web.RequestHandler):
        """Files by GET, actions by POST."""

        gone = refused = False

        def set_default_headers(self) -> None:
            for name, value in HEADERS.items():
                self.set_header(name, value)

        def prepare(self) -> None:
            self.body: list[bytes] = []
            self.length = 0
            self.name = self.request.path.removeprefix("/")
            asked = self.request.headers
            origin, kind = asked.get("Origin"), self.kind()
            if self.request.host not in hosts:
                self.refuse(403, f"this page is at http://{hosts[0]}/ only")
            elif origin is not None and urlsplit(origin)[:2] not in [("http", h) for h in hosts]:
                self.refuse(403, "another page must not ask this program")
            elif self.request.method == "GET" and self.name in page.files:
                pass
            elif self.request.method != "POST" or self.name not in page.actions:
                self.refuse(404, f"there is nothing at /{self.name}")
            elif not kind.startswith(("application/json", "application/octet-stream", "image/")):
                self.refuse(415, f"send JSON or the bytes of a file, not {kind or 'this'}")

        def kind(self) -> str:
            return self.request.headers.get("Content-Type", "")

        def refuse(self, status: int, why: str) -> None:
            self.refused = True
            self.set_status(status)
            self.finish({"error": why})

        def data_received(self, chunk: bytes) -> None:
            self.length += len(chunk)
            if self.length <= page.most:
                self.body.append(chunk)

        def on_connection_close(self) -> None:
            self.gone = True

        def get(self) -> None:
            ending = self.name.rpartition(".")[2] if self.name else "html"
            self.set_header("Content-Type", KINDS.get(ending, "application/octet-stream"))
            self.write(page.files[self.name])

        async def post(self) -> None:
            if self.refused:
                return
            if self.length > page.most:  # read to its end: who still sends does not hear an answer
                most = f"{page.most / 1e6:.3g} MB"
                return self.refuse(413, f"that is more than the {most} that this page takes")
            if page.requests >= WAITING:
                return self.refuse(503, f"{WAITING} requests are waiting already; try again later")
            page.requests += 1
            try:
                await self.answer()
            except ValueError as error:
                self.fail(400, str(error))
            except closed:
                pass
            except Exception:
                traceback.print_exc()
                self.fail(500, "the program failed; the terminal that it runs in says how")
            finally:
                page.requests -= 1

        def fail(self, status: int, why: str) -> None:
            """An answer that has begun ends with a line; else it is the answer."""
            if self.gone:
                return
            if not self._headers_written:
                self.refuse(status, why)
            else:
                self.write(json.dumps({"error": why}) + "\n")

        def given(self) -> Given:
            body = b"".join(self.body)
            if not self.kind().startswith("application/json"):
                query = {n: v[-1].decode("utf-8", "replace") for n, v in
                         self.request.query_arguments.items()}  # fmt: skip
                return query | {"file": body}
            try:
                value = json.loads(body)
            except (ValueError, RecursionError):
                raise ValueError("the request is not JSON") from None
            if not isinstance(value, dict):
                raise ValueError("the request is not a JSON object")
            return value

        async def answer(self) -> None:
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(thread, page.actions[self.name], self.given())
            if isinstance(result, Mapping):
                self.finish(dict(result))
                return
            try:
                first = await loop.run_in_executor(thread, next, result, _END)  # may raise yet
                self.set_header("Content-Type", "application/jsonl; charset=utf-8")
                line = first
                while line is not _END and not self.gone:
                    self.write(json.dumps(line) + "\n")
                    await self.flush()
                    line = await loop.run_in_executor(thread, next, result, _END)
            finally:
                if close := getattr(result, "close", None):
                    await loop.run_in_executor(thread, close)

    return web.Application([(r"/.*", Handler)], log_function=lambda handler: None)


def text_of(given: Given, name: str, most: int) -> str:
    """A text of 1 to `most` characters; else `ValueError`."""
    value = given.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"the {name} is {str(value)[:40]}, which is no text; write one")
    if not value.strip():
        raise ValueError(f"the {name} is empty; write something")
    if len(value) > most:
        raise ValueError(f"the {name} has {len(value):,} characters, {most:,} are the most")
    return value


def number_of(given: Given, name: str, least: float, most: float, default: float) -> float:
    """A number from `least` to `most`, as a number or its text; else `ValueError`."""
    value = given.get(name, default)
    is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
    try:
        number = float(value) if is_number else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not least <= number <= most:
        shown = str(value)[:40]  # in quotes unless it is a number
        shown = repr(shown) if math.isnan(number) else shown
        raise ValueError(f"{name} is {shown}, and must be from {least:g} to {most:g}")
    return number
