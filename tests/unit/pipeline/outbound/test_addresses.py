"""Which addresses are on the Internet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.outbound.addresses import METADATA_SERVICES, is_metadata_service, is_public, unwrap
from tests.unit.pipeline.outbound.address_table import NOT_PUBLIC, PUBLIC


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_on_the_internet_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_an_address_of_this_host_or_its_networks_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("ip", sorted(METADATA_SERVICES, key=str), ids=str)
def test_a_service_that_gives_out_credentials_is_not_public(ip: IPv4Address | IPv6Address) -> None:
    assert is_metadata_service(ip)
    assert not is_public(ip)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_is_judged_as_itself(ip: IPv4Address) -> None:
    forms = [IPv6Address(f"::ffff:{ip}"), IPv6Address(f"64:ff9b::{ip}")]

    assert [unwrap(form) for form in forms] == [ip, ip]
    assert [is_public(form) for form in forms] == [is_public(ip)] * 2
    assert [is_metadata_service(form) for form in forms] == [is_metadata_service(ip)] * 2


@given(st.ip_addresses(v=4), st.sampled_from(["::", "2002:", "64:ff9b:1::", "2001:0:"]))
def test_no_other_form_of_an_ipv4_address_is_public(ip: IPv4Address, prefix: str) -> None:
    high, low = divmod(int(ip), 2**16)
    text = f"{prefix}{high:x}:{low:x}"

    assert not is_public(IPv6Address(text if text.startswith("::") or "::" in text else f"{text}::"))


@given(st.ip_addresses())
def test_what_python_holds_to_be_private_or_multicast_is_not_public(ip: IPv4Address | IPv6Address) -> None:
    assert not (is_public(ip) and (unwrap(ip).is_private or unwrap(ip).is_multicast))
