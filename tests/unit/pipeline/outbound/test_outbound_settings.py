"""Mistakes in the settings of what goes out are found at the start."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipeline.outbound.proxy import parse_proxy
from pipeline.outbound_settings import OutboundSettings

HIDDEN = "a-secret"


@pytest.mark.parametrize(
    "entry",
    [
        "", " ", "*", "*.internal", "hooks.internal:", "hooks.internal:0", "hooks.internal:65536", "hooks.internal:a",
        "http://hooks.internal", "hooks.internal/path", "10.1.0.1/16", "10.0.0.0/33", "127.1", "0x7f.1", "[::1", "::1]",
        "[::1%lo]", "[hooks.internal]", "[10.0.0.1]", "a,b", "user@hooks.internal", "fd00::1/8", "10.0.0.0/8:80:90",
    ],
)  # fmt: skip
def test_an_entry_of_allow_that_means_nothing_is_a_mistake(entry: str) -> None:
    with pytest.raises(ValidationError, match=r"such as hooks\.internal, hooks\.internal:9000"):
        OutboundSettings(allow=(entry,))


@pytest.mark.parametrize(
    "proxy",
    [
        f"https://user:{HIDDEN}@proxy.internal:3128",
        f"socks5://user:{HIDDEN}@proxy.internal:1080",
        f"http://user:{HIDDEN}@proxy.internal",
        f"http://user:{HIDDEN}@proxy.internal:0",
        f"http://user:{HIDDEN}@proxy.internal:99999",
        f"http://user:{HIDDEN}@proxy.internal:3128/path",
        f"http://user:{HIDDEN}@proxy.internal:3128?query",
        f"http://user:{HIDDEN}@:3128",
        f"http://user:{HIDDEN}@127.1:3128",
        f"proxy.internal:3128/{HIDDEN}",
        f"http://[{HIDDEN}",
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_mistake_that_does_not_show_its_password(proxy: str) -> None:
    with pytest.raises(ValidationError) as invalid:
        OutboundSettings(proxy=proxy)

    messages = [error["msg"] for error in invalid.value.errors(include_input=False)]
    assert all("such as http://proxy.internal:3128" in message for message in messages)
    assert HIDDEN not in str(messages)


def test_a_proxy_has_a_host_a_port_and_perhaps_credentials() -> None:
    plain, with_credentials = parse_proxy("http://[::1]:3128/"), parse_proxy("http://us%65r:p%40ss@Proxy.internal:3128")

    assert plain
    assert (str(plain.host), plain.port, plain.headers) == ("::1", 3128, {})
    assert with_credentials
    assert (with_credentials.host, with_credentials.port) == ("proxy.internal", 3128)
    assert with_credentials.headers == {"proxy-authorization": "Basic dXNlcjpwQHNz"}
    assert "dXNlc" not in repr(with_credentials)
