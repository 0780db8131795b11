"""Hosts and origins: a web page reaches no gateway by a name of its own, and changes nothing from another site."""

from __future__ import annotations

import httpx
import pytest
from pydantic import ValidationError

from gateway.app import create_app
from pipeline.http_settings import HttpSettings
from tests.unit.gateway.conftest import SETTINGS

KEYS = {"ann": "0" * 64}
HTTP = HttpSettings(allowed_origins=("https://app.example",))
NOWHERE = "/nowhere"  # an allowed request is answered 404


def build_client(*hosts: str, keys: bool = False) -> httpx.AsyncClient:
    http = HTTP.model_copy(update={"allowed_hosts": hosts})
    app = create_app(SETTINGS.model_copy(update={"http": http, "api_keys": KEYS if keys else {}}))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8000")


CLIENT = build_client()


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8001",
        "localhost.",
        "a.localhost:80",
        "127.0.0.1:8001",
        "192.0.2.7",
        "[::1]:8001",
        "[fd00::1]",
    ],
)
async def test_loopback_names_and_addresses_are_always_allowed(host: str) -> None:
    answer = await CLIENT.get(NOWHERE, headers={"Host": host})

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8001", "127.0.0.1.evil.example", "localhost.evil.example", "notlocalhost", "",
     "[::1", "a@localhost", "localhost:80:80", "2130706433", "photos.example", "\xe9"],
)  # fmt: skip
@pytest.mark.parametrize("path", [NOWHERE, "/jobs", "/openapi.json"])
async def test_without_keys_other_hosts_are_refused(host: str, path: str) -> None:
    answer = await CLIENT.get(path, headers={b"Host": host.encode("latin-1")})

    assert (answer.status_code, answer.json()["code"]) == (421, "host_not_allowed")
    assert "DARKROOM_HTTP__ALLOWED_HOSTS" in answer.json()["detail"]


async def test_each_of_several_hosts_must_be_allowed() -> None:
    answer = await CLIENT.get(NOWHERE, headers=[("Host", "localhost"), ("Host", "evil.example")])

    assert answer.status_code == 421


async def test_probes_may_use_any_name() -> None:
    answers = [await CLIENT.get(path, headers={"Host": "gateway:8001"}) for path in ("/livez", "/metrics")]

    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize(
    ("hosts", "keys", "allowed"),
    [
        ((), True, {"photos.example", "evil.example"}),
        (("Photos.example",), True, {"photos.example"}),
        (("Photos.example",), False, {"photos.example"}),
        (("*",), False, {"photos.example", "evil.example"}),
    ],
)
async def test_the_setting_and_the_keys_decide_which_names_are_allowed(
    hosts: tuple[str, ...], allowed: set[str], *, keys: bool
) -> None:
    client = build_client(*hosts, keys=keys)
    answers = {host: await client.get(NOWHERE, headers={"Host": host}) for host in ("photos.example", "evil.example")}

    assert {host for host, answer in answers.items() if answer.status_code != 421} == allowed


FOREIGN = [
    pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, id="another site"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="another site that hides its origin"),
    pytest.param({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"}, id="another port of this machine"),
    pytest.param({"Sec-Fetch-Site": "same-origin, cross-site"}, id="two values"),
    pytest.param({"Origin": "https://evil.example"}, id="an older browser"),
    pytest.param({"Origin": "http://localhost:3000"}, id="an older browser, another port"),
    pytest.param({"Origin": "null"}, id="a file or a sandbox"),
    pytest.param({"Origin": "https://app.example.evil.example"}, id="a name like an allowed one"),
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "ANYTHING"])
async def test_a_page_of_another_origin_changes_nothing(method: str, headers: dict[str, str]) -> None:
    answer = await CLIENT.request(method, NOWHERE, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert "DARKROOM_CORS__ORIGINS" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no browser"),
        pytest.param({"Sec-Fetch-Site": "none"}, id="a person"),
        pytest.param({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, id="the own page"),
        pytest.param({"Origin": "http://localhost:8000"}, id="the own page in an older browser"),
        pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example"}, id="an allowed origin"),
        pytest.param({"Origin": "https://app.example"}, id="an allowed origin in an older browser"),
    ],
)
async def test_the_own_page_allowed_origins_and_other_clients_may_change_things(headers: dict[str, str]) -> None:
    answer = await CLIENT.post(NOWHERE, headers=headers)

    assert answer.status_code == 404


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_reading_is_left_to_the_browsers_own_rules(method: str, headers: dict[str, str]) -> None:
    answer = await CLIENT.request(method, NOWHERE, headers=headers)

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "setting",
    [{"allowed_hosts": ["http://photos.example"]}, {"allowed_hosts": ["photos.example:8000"]},
     {"allowed_origins": ["app.example"]}, {"allowed_origins": ["https://app.example/"]}, {"allowed_origins": ["*"]}],
)  # fmt: skip
def test_a_setting_that_could_match_nothing_is_refused_at_start(setting: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError):
        HttpSettings.model_validate(setting)
