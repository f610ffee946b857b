"""The pages' server: answers, streams, refusals, and work that stops when its tab is closed."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from lmbook.apps.page import HEADERS, Page, number_of, text_of
from lmbook.backend import MissingDependency

SEEN: dict[str, Any] = {}


def echo(given: dict[str, Any]) -> dict[str, Any]:
    SEEN["thread"] = threading.current_thread().name
    if "file" in given:
        return {"bytes": len(given["file"]), "name": given.get("name", "")}
    return {"said": given["said"]}


def count(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    to = int(number_of(given, "to", 0, 1e6, 3))
    SEEN["closed"] = threading.Event()
    try:
        for i in range(to):
            SEEN["last"] = i
            yield {"i": i}
            if i == given.get("fail"):
                raise ValueError("the count broke off")
            time.sleep(given.get("pause", 0))
    finally:
        SEEN["closed"].set()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    page = Page("page_of_tests", {"echo": echo, "count": count}, most=10_000)
    with page.running() as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def _a_page() -> Iterator[None]:
    """A page of the tests' own among the package's files."""
    from lmbook.apps import page

    real = page.files

    class WithOurs:
        def __truediv__(self, name: str) -> Any:
            folder = real("lmbook.apps") / name
            ours = type("", (), {"name": "page_of_tests.html", "read_bytes": lambda self: b"<p>hi"})
            return type("", (), {"iterdir": lambda self: [*folder.iterdir(), ours()]})()

    page.files = lambda name: WithOurs()  # type: ignore[assignment]
    yield
    page.files = real


def ask(
    address: str, path: str, body: Any = None, method: str = "POST", **headers: str
) -> tuple[int, str, Any]:
    """Status, text and headers of one request."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    sent = {"Content-Type": "application/json"} if method == "POST" else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) or body is None else json.dumps(body)
    connection.request(method, path, data, sent)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, answer.headers


def test_files_come_with_headers_that_keep_others_out(address: str) -> None:
    status, text, headers = ask(address, "/", method="GET")
    assert (status, text) == (200, "<p>hi") and headers["Content-Type"].startswith("text/html")
    for path, kind in (("/page.css", "text/css"), ("/page.js", "text/javascript")):
        status, text, headers = ask(address, path, method="GET")
        assert status == 200 and headers["Content-Type"].startswith(kind) and len(text) > 500
    assert all(headers[name] == value for name, value in HEADERS.items())
    assert address.startswith("http://127.0.0.1:")


def test_an_action_answers_json_from_the_thread_of_the_model(address: str) -> None:
    assert json.loads(ask(address, "/echo", {"said": "喂"})[1]) == {"said": "喂"}
    assert SEEN["thread"].startswith("model")


def test_a_file_comes_as_bytes(address: str) -> None:
    answer = ask(address, "/echo?name=a%20b.png", b"\x89PNG", Content_Type="image/png")
    assert json.loads(answer[1]) == {"bytes": 4, "name": "a b.png"}


def test_an_iterator_is_sent_line_by_line(address: str) -> None:
    status, text, headers = ask(address, "/count", {"to": 3})
    assert status == 200 and headers["Content-Type"].startswith("application/jsonl")
    assert [json.loads(line)["i"] for line in text.splitlines()] == [0, 1, 2]
    assert ask(address, "/count", {"to": 0})[1] == ""


@pytest.mark.parametrize(
    ("request_", "status", "why"),
    [
        ({"path": "/nothing", "body": {}}, 404, "nothing at /nothing"),
        ({"path": "/../pyproject.toml", "method": "GET"}, 404, "nothing at"),
        ({"path": "/", "method": "GET", "Host": "evil.example"}, 403, "only"),
        ({"path": "/echo", "body": {}, "Host": "evil.example:80"}, 403, "only"),
        ({"path": "/echo", "body": {}, "Origin": "http://evil.example"}, 403, "another page"),
        ({"path": "/echo", "body": {}, "Origin": "null"}, 403, "another page"),
        ({"path": "/echo", "body": b"a=b", "Content_Type": "text/plain"}, 415, "send JSON"),
        ({"path": "/echo", "body": b"{"}, 400, "not JSON"),
        ({"path": "/echo", "body": b"[" * 5000}, 400, "not JSON"),
        ({"path": "/echo", "body": [1]}, 400, "not a JSON object"),
        ({"path": "/echo", "body": {"said": "x" * 10_000}}, 413, "more than the 0.01 MB"),
        ({"path": "/count", "body": {"to": "many"}}, 400, "to is 'many', and must be from 0"),
    ],
)
def test_refusals(address: str, request_: dict[str, Any], status: int, why: str) -> None:
    answer = ask(address, **request_)
    assert answer[0] == status and why in json.loads(answer[1])["error"]


def test_the_pages_own_origin_may_ask(address: str) -> None:
    origin = address.rstrip("/")
    assert ask(address, "/echo", {"said": 1}, Origin=origin)[0] == 200


def test_a_body_without_a_length_is_measured_too(address: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    chunks = iter([b"x" * 6000] * 3)
    connection.request("POST", "/echo", chunks, {"Content-Type": "image/png"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_stream_that_fails_ends_with_the_reason(address: str) -> None:
    status, text, _ = ask(address, "/count", {"to": 5, "fail": 1})
    assert status == 200
    assert json.loads(text.splitlines()[-1]) == {"error": "the count broke off"}


def test_a_fault_of_the_program_is_not_shown(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text, _ = ask(address, "/echo", {"said_not": 1})
    assert status == 500 and "terminal" in text and "said" not in json.loads(text)["error"]
    assert "KeyError" in capsys.readouterr().err


def test_a_closed_tab_stops_the_work_and_others_take_turns(address: str) -> None:
    host = urlsplit(address)
    body = json.dumps({"to": 10_000, "pause": 0.005})
    with socket.create_connection((host.hostname, host.port), 20) as tab:
        tab.sendall(
            f"POST /count HTTP/1.1\r\nHost: {host.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        assert b"jsonl" in tab.recv(4096)
        assert ask(address, "/echo", {"said": 2})[0] == 200  # while the other is counting
        closed = SEEN["closed"]
        assert not closed.is_set()
    assert closed.wait(5) and SEEN["last"] < 5000


def test_a_port_that_is_taken(address: str) -> None:
    page = Page("page_of_tests", {})
    with pytest.raises(OSError), page.running(urlsplit(address).port):
        pass


def test_inputs() -> None:
    assert text_of({"prompt": " a"}, "prompt", 5) == " a"
    for bad, why in (({}, "empty"), ({"prompt": " \n"}, "empty"), ({"prompt": 3}, "is 3, which is no text"),
                     ({"prompt": "x" * 1200}, "has 1,200 characters, 1,000 are the most")):  # fmt: skip
        with pytest.raises(ValueError, match=why):
            text_of(bad, "prompt", 1000)
    assert number_of({"t": "0.5"}, "t", 0, 2, 1) == 0.5 and number_of({}, "t", 0, 2, 1) == 1
    for value, shown in (("x", "'x'"), (None, "'None'"), ([], r"'\[\]'"), ("nan", "'nan'"), (-1, "-1"),
                         (3, "3"), ("3", "3"), ("9" * 400, "9" * 40), (True, "'True'")):  # fmt: skip
        with pytest.raises(ValueError, match=f"^t is {shown}, and must be from 0 to 2"):
            number_of({"t": value}, "t", 0, 2, 1)


def test_too_many_at_a_time_are_told_to_wait(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmbook.apps.page.WAITING", 0)
    status, text, _ = ask(address, "/echo", {"said": 1})
    assert status == 503 and "try again later" in json.loads(text)["error"]


def test_without_tornado_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tornado.web", None)
    with pytest.raises(MissingDependency, match=r'pip install "lmbook\[book\]"'):
        Page("page_of_tests", {})
