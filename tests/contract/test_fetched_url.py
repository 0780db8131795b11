"""A file at a URL as it is fetched: what is continued with a range, what is read again, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from pipeline.fetched_url import MAX_CONNECTIONS, FetchedUrl, StartOver
from pipeline.outbound.client import OutboundClient
from pipeline.outbound_settings import FetchSettings, OutboundSettings
from stages.errors import FetchFailed, FetchRefused, FetchTimeout, FetchTooLarge, StageError, TemporaryError
from tests.support.image_server import Scripted, ScriptedServer, run_scripted_server

CONTENT = bytes(range(256)) * 1000
CUT = 100_000
ETAG = '"one"'
DATES = {"Date": "Mon, 02 Nov 2026 10:00:10 GMT", "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT"}
LOOPBACK = OutboundSettings(allow=("127.0.0.0/8:*",))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with run_scripted_server() as server:
        yield server


def fetched(
    url: str, *, seconds: float = 30, idle_timeout: float = 10, max_bytes: int = len(CONTENT), max_redirects: int = 3
) -> FetchedUrl:
    settings = FetchSettings(idle_timeout=idle_timeout, max_redirects=max_redirects)
    return FetchedUrl(url, OutboundClient(LOOPBACK), settings, seconds=seconds, max_bytes=max_bytes)


def read(file: FetchedUrl) -> bytes:
    return b"".join(file.chunks())


def cut(headers: Mapping[str, str | None], *, sent: int = CUT) -> Scripted:
    """Return an answer that breaks off."""
    return Scripted(CONTENT, headers=headers, sent=sent)


def rest(start: int = CUT, *, headers: Mapping[str, str | None] | None = None) -> Scripted:
    """Return the answer to a range: the file from `start` on."""
    covered = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    return Scripted(CONTENT[start:], status=206, headers={"Content-Range": covered, "ETag": ETAG, **(headers or {})})


def rest_of(content_range: str | None) -> Scripted:
    """Return an answer to a range that says that it is another one."""
    return rest(headers={"Content-Range": content_range})


def test_a_file_is_read_as_it_is(server: ScriptedServer) -> None:
    assert read(fetched(server.script("/a", Scripted(CONTENT)))) == CONTENT


def test_the_first_request_asks_for_the_whole_file_uncompressed(server: ScriptedServer) -> None:
    read(fetched(server.script("/a", Scripted(CONTENT)) + "?signature=x"))

    (asked,) = server.requests
    assert (asked.path, asked.headers["accept-encoding"]) == ("/a?signature=x", "identity")
    assert not {"range", "if-range"} & set(asked.headers)


@pytest.mark.parametrize(
    ("headers", "condition"),
    [({"ETag": ETAG}, ETAG), (DATES, DATES["Last-Modified"]), ({"ETag": 'W/"one"', **DATES}, DATES["Last-Modified"])],
    ids=["etag", "last-modified", "weak etag"],
)
def test_a_connection_that_breaks_is_continued_with_a_range(
    server: ScriptedServer, headers: dict[str, str | None], condition: str
) -> None:
    validator = {name: value for name, value in headers.items() if name != "Date"}
    url = server.script("/a", cut(headers), rest(headers={"ETag": None, **validator}))

    assert read(fetched(url)) == CONTENT
    assert [each.headers.get("range") for each in server.requests] == [None, f"bytes={CUT}-"]
    assert server.requests[1].headers["if-range"] == condition


def test_a_file_of_unknown_size_is_continued_too(server: ScriptedServer) -> None:
    chunked = b"%x\r\n%s\r\n" % (CUT, CONTENT[:CUT])  # the last chunk is missing
    headers = {"ETag": ETAG, "Transfer-Encoding": "chunked", "Content-Length": None}
    url = server.script("/a", Scripted(chunked, headers=headers), rest())

    assert read(fetched(url)) == CONTENT


def test_a_continuation_that_breaks_is_continued(server: ScriptedServer) -> None:
    second = rest()
    url = server.script(
        "/a",
        cut({"ETag": ETAG}),
        Scripted(second.body, second.status, second.headers, sent=CUT),
        rest(2 * CUT),
    )

    assert read(fetched(url)) == CONTENT
    assert server.requests[2].headers["range"] == f"bytes={2 * CUT}-"


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(Scripted(CONTENT, headers={"ETag": ETAG}), id="the whole file"),
        pytest.param(Scripted(b"another", headers={"ETag": '"two"'}), id="another file"),
        pytest.param(rest(headers={"ETag": '"two"'}), id="a range of another file"),
        pytest.param(rest(headers={"ETag": None}), id="a range of an unknown file"),
        pytest.param(rest_of(None), id="no Content-Range"),
        pytest.param(rest_of(f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"), id="another start"),
        pytest.param(rest_of(f"bytes {CUT}-{len(CONTENT) - 2}/{len(CONTENT)}"), id="an earlier end"),
        pytest.param(rest_of(f"bytes {CUT}-{len(CONTENT)}/{len(CONTENT) + 1}"), id="another size"),
        pytest.param(rest_of(f"bytes {CUT}-{len(CONTENT) - 1}/*"), id="an unknown size"),
        pytest.param(Scripted(status=416), id="no such range"),
        pytest.param(Scripted(status=412), id="a failed condition"),
    ],
)
def test_what_does_not_continue_the_same_file_is_read_again(server: ScriptedServer, second: Scripted) -> None:
    url = server.script("/a", cut({"ETag": ETAG}), second, Scripted(CONTENT, headers={"ETag": '"two"'}))
    file = fetched(url)

    with pytest.raises(StartOver):
        read(file)

    assert read(file) == CONTENT
    assert "range" not in server.requests[2].headers


@pytest.mark.parametrize(
    "headers",
    [
        *({}, {"ETag": 'W/"one"'}, {"ETag": "one"}, {"Last-Modified": DATES["Last-Modified"]}),
        *(DATES | {"Date": date} for date in ("now", DATES["Last-Modified"], DATES["Date"].replace("2026", "9" * 30))),
        *({"ETag": '"\xe9"'}, DATES | {"Last-Modified": f"{DATES['Last-Modified']} \xe9"}),
    ],
    ids=[
        *("none", "weak", "unquoted", "no date", "malformed date", "modified just now", "a date beyond all"),
        *("not ASCII", "a date that is not ASCII"),
    ],
)
def test_a_file_that_nothing_tells_from_another_is_read_again(
    server: ScriptedServer, headers: dict[str, str | None]
) -> None:
    file = fetched(server.script("/a", cut(headers), Scripted(CONTENT)))

    with pytest.raises(StartOver):
        read(file)

    assert read(file) == CONTENT


def test_the_connections_of_one_run_are_limited(server: ScriptedServer) -> None:
    file = fetched(server.script("/a", cut({})))
    for _ in range(MAX_CONNECTIONS - 1):
        with pytest.raises(StartOver):
            read(file)

    with pytest.raises(TemporaryError) as caught:
        read(file)

    assert isinstance(caught.value.refusal, FetchFailed)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 206, 204, 304])
def test_a_refusal_is_final_and_has_the_status(server: ScriptedServer, status: int) -> None:
    with pytest.raises(FetchFailed, match=rf"^The server answered {status}\.$"):
        read(fetched(server.script("/a", Scripted(status=status))))


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (500, {}, 0),
        (502, {}, 0),
        (503, {"Retry-After": "7"}, 7),
        (503, {"Retry-After": "Mon, 02 Nov 2026 10:00:00 GMT"}, 0),
        (429, {"Retry-After": "9"}, 9),
        (408, {}, 0),
    ],
)
def test_an_error_that_may_pass_is_temporary_and_has_the_status(
    server: ScriptedServer, status: int, headers: dict[str, str | None], seconds: float
) -> None:
    with pytest.raises(TemporaryError) as caught:
        read(fetched(server.script("/a", Scripted(status=status, headers=headers))))

    assert caught.value.refusal.code == "fetch_failed"
    assert caught.value.refusal.message == f"The server answered {status}."
    assert caught.value.retry_after_seconds == seconds


def test_a_status_that_comes_when_a_file_is_continued_counts(server: ScriptedServer) -> None:
    with pytest.raises(FetchFailed, match="403"):
        read(fetched(server.script("/a", cut({"ETag": ETAG}), Scripted(status=403))))


@pytest.mark.parametrize(
    ("answer", "limits"),
    [
        pytest.param(Scripted(CONTENT, is_silent=True, sent=0), {"idle_timeout": 0.2}, id="silent"),
        pytest.param(Scripted(b"x" * 10_000, is_slow=True), {"seconds": 0.5}, id="slow"),
    ],
)
def test_what_takes_too_long_is_a_timeout(server: ScriptedServer, answer: Scripted, limits: dict[str, float]) -> None:
    with pytest.raises(TemporaryError) as caught:
        read(fetched(server.script("/a", answer), **limits))  # type: ignore[arg-type]  # both are numbers of seconds

    assert isinstance(caught.value.refusal, FetchTimeout)


def test_a_server_that_falls_silent_is_asked_for_the_rest(server: ScriptedServer) -> None:
    silent = Scripted(CONTENT, headers={"ETag": ETAG}, sent=CUT, is_silent=True)

    assert read(fetched(server.script("/a", silent, rest()), idle_timeout=0.5)) == CONTENT


def test_a_server_that_is_not_there_is_temporary(server: ScriptedServer) -> None:
    url = server.script("/a", Scripted(CONTENT))
    server.close()

    with pytest.raises(TemporaryError) as caught:
        read(fetched(url))

    assert isinstance(caught.value.refusal, FetchFailed)
    assert "127.0.0.1" not in caught.value.refusal.message


def test_a_file_that_says_that_it_is_too_large_is_not_read(server: ScriptedServer) -> None:
    url = server.script("/a", Scripted(CONTENT, is_silent=True, sent=0))

    with pytest.raises(FetchTooLarge):
        read(fetched(url, max_bytes=len(CONTENT) - 1))


def test_a_body_that_ends_early_is_not_accepted(server: ScriptedServer) -> None:
    with pytest.raises(StartOver):
        read(fetched(server.script("/a", cut({}))))


def test_redirects_are_followed_to_a_limit(server: ScriptedServer) -> None:
    server.script("/1", Scripted(status=302, headers={"Location": "/2"}))
    server.script("/2", Scripted(status=307, headers={"Location": "/3"}))
    server.script("/3", Scripted(CONTENT))

    assert read(fetched(f"{server.url}/1", max_redirects=2)) == CONTENT
    with pytest.raises(FetchRefused):
        read(fetched(f"{server.url}/1", max_redirects=1))


@pytest.mark.parametrize("location", ["http://10.0.0.1/a", "http://169.254.169.254/latest/meta-data/", "ftp://a/b"])
def test_a_redirect_to_an_address_inside_is_refused(server: ScriptedServer, location: str) -> None:
    url = server.script("/1", Scripted(status=302, headers={"Location": location}))

    with pytest.raises(StageError) as caught:
        read(fetched(url))

    assert caught.value.code == "fetch_refused"


def test_a_redirect_is_followed_again_for_the_rest(server: ScriptedServer) -> None:
    server.script("/1", Scripted(status=302, headers={"Location": "/2"}))
    server.script("/2", cut({"ETag": ETAG}), rest())

    assert read(fetched(f"{server.url}/1")) == CONTENT
    assert [each.headers.get("range") for each in server.requests] == [None, None, f"bytes={CUT}-", f"bytes={CUT}-"]


def test_a_redirect_to_another_server_is_asked_for_the_rest(server: ScriptedServer) -> None:
    with run_scripted_server() as other:
        there = other.script("/a", cut({"ETag": ETAG}), rest())
        url = server.script("/1", Scripted(status=302, headers={"Location": there}))

        assert read(fetched(url)) == CONTENT

    assert [each.headers.get("range") for each in other.requests] == [None, f"bytes={CUT}-"]


def test_an_encoding_of_the_body_is_known(server: ScriptedServer) -> None:
    plain = fetched(server.script("/a", Scripted(CONTENT)))
    compressed = fetched(server.script("/b", Scripted(CONTENT, headers={"Content-Encoding": "gzip"})))

    assert [read(plain), read(compressed)] == [CONTENT, CONTENT]
    assert [plain.is_compressed, compressed.is_compressed] == [False, True]
