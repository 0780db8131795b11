"""Names of files: how clients write those that are not plain ASCII."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.submission.file_names import parse_filename
from tests.support.properties import EXAMPLES


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("", None),
        ("filename=cat.jpg", "cat.jpg"),
        ('filename="a b;c=\\"d\\".jpg"', 'a b;c="d".jpg'),
        ('filename="Käse.jpg"', "Käse.jpg"),
        ("filename*=UTF-8''K%C3%A4se.jpg", "Käse.jpg"),
        ("FileName*=utf-8'de'K%c3%a4se.jpg", "Käse.jpg"),
        ("filename*=ISO-8859-1''K%E4se.jpg", "Käse.jpg"),
        ("filename*=\"UTF-8''a%20b.jpg\"", "a b.jpg"),
        ("filename=\"Kase.jpg\"; filename*=UTF-8''K%C3%A4se.jpg", "Käse.jpg"),
        ("filename*=UTF-8''K%C3%A4se.jpg; filename=Kase.jpg", "Käse.jpg"),
        ("filename=\"=?utf-8?B?S8Okc2UuanBn?=\"; filename*=utf-8''K%C3%A4se.jpg", "Käse.jpg"),
        ('filename="=?utf-8?B?S8Okc2UuanBn?="', "Käse.jpg"),
        ('filename="=?UTF-8?q?K=C3=A4se_1.jpg?="', "Käse 1.jpg"),
        ('filename="=?iso-8859-1?Q?K=E4se.jpg?="', "Käse.jpg"),
        ('filename="=?utf-8?B?S8Okc2U=?= =?utf-8?B?LmpwZw==?="', "Käse.jpg"),
        ("filename=\"a; filename*=UTF-8''b.jpg\"", "a; filename*=UTF-8''b.jpg"),
        ("filename*=UTF-16''%00a; filename=cat.jpg", "cat.jpg"),
        ("filename*=cat.jpg", None),
        ("filename*=UTF-8''", ""),
        ("filename*=UTF-8''%FF.jpg", "\ufffd.jpg"),
        ("filename*=UTF-8''a%0D%0A%00b.jpg", "ab.jpg"),
        ('filename="=?utf-8?B?!!!?="', "=?utf-8?B?!!!?="),
        ('filename="=?utf-7?B?S8Okc2UuanBn?="', "=?utf-7?B?S8Okc2UuanBn?="),
        ('filename="=?idna?Q?a?="', "=?idna?Q?a?="),
        ('filename="my =?utf-8?B?S8Okc2UuanBn?="', "my =?utf-8?B?S8Okc2UuanBn?="),
    ],
)
def test_a_name_is_read_as_its_client_wrote_it(parameters: str, name: str | None) -> None:
    assert parse_filename(f'form-data; name="file"; {parameters}'.encode()) == name


PIECES = st.sampled_from(
    ["filename", "*", "*0", "=", ";", " ", '"', "\\", "'", "UTF-8''", "=?utf-8?", "B?", "Q?", "?=", "%", "é"]
)


@EXAMPLES
@given(pieces=st.lists(PIECES | st.text(max_size=3), max_size=40))
def test_any_header_is_a_name_or_none(pieces: list[str]) -> None:
    name = parse_filename(("form-data; " + "".join(pieces)).encode())

    assert name is None or name.encode().decode() == name
