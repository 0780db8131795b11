"""The shapes of bodies with events of buckets: each sender's is read into the same events, and no other is a job."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.ingest.object_events import EventsUnreadable, NoEvent, ObjectEvent
from gateway.ingest.shapes import MAX_EVENTS, read_events
from tests.support import bucket_events as sent
from tests.support.bucket_events import ETAG, TIME_MS

SEAWEED_FOLDER: dict[str, Any] = {"is_directory": True, "attributes": {"mtime": 1796072721}, "chunks": []}


def read(body: Any) -> list[ObjectEvent | NoEvent]:
    return list(read_events(json.dumps(body)))


def read_one(body: Any) -> ObjectEvent:
    (event,) = read(body)
    assert isinstance(event, ObjectEvent), event
    return event


@pytest.mark.parametrize(
    "body",
    [
        sent.aws(),
        sent.sns(sent.aws()),
        sent.eventbridge(),
        sent.sns(sent.eventbridge()),
        sent.minio(),
        sent.minio_redis(),
        sent.seaweed(),
    ],
    ids=["aws", "aws by sns", "eventbridge", "eventbridge by sns", "minio", "minio by redis", "seaweed"],
)
def test_a_new_object_is_read_from_each_shape(body: Any) -> None:
    event = read_one(body)

    assert (event.bucket, event.key, event.size, event.etag) == ("incoming", "shop/cat.jpg", 5000, ETAG)
    assert (event.is_new, event.is_folder, event.version) == (True, False, None)
    assert event.sequencer
    assert event.time_ms // 1000 == TIME_MS // 1000


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (sent.aws(sent.aws_record("shop/a b+ü.jpg")), "shop/a b+ü.jpg"),
        (sent.minio("shop/50% & more.jpg"), "shop/50% & more.jpg"),
        (sent.eventbridge("shop/a+b%20c.jpg"), "shop/a+b%20c.jpg"),
        (sent.seaweed("shop/a+b%20c.jpg"), "shop/a+b%20c.jpg"),
        (sent.seaweed("shop/line\u2028end.jpg"), "shop/line\u2028end.jpg"),
    ],
)
def test_keys_are_decoded_where_the_sender_encodes_them_and_nowhere_else(body: Any, key: str) -> None:
    assert read_one(body).key == key


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (sent.aws(sent.aws_record(versionId="096fKKXTRTtl3on89fVO.nfljtsv6qko")), "096fKKXTRTtl3on89fVO.nfljtsv6qko"),
        (sent.aws(sent.aws_record(versionId=None)), None),
        (sent.minio(versionId="null"), None),
        (sent.eventbridge(**{"version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"}), "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"),
        (sent.seaweed_version("shop/cat.jpg", "6713114fd22cc734a3824920ce856d87"), "6713114fd22cc734a3824920ce856d87"),
    ],
)
def test_versions_are_read(body: Any, version: str | None) -> None:
    event = read_one(body)

    assert (event.key, event.version) == ("shop/cat.jpg", version)


@pytest.mark.parametrize(
    "body",
    [
        sent.aws(sent.aws_record(event="ObjectRemoved:Delete")),
        sent.aws(sent.aws_record(event="ObjectTagging:Put")),
        sent.minio(event="s3:ObjectAccessed:Get"),
        sent.minio(event="s3:ObjectCreated:PutTagging"),
        sent.minio(event="s3:ObjectCreated:PutRetention"),
        sent.eventbridge(kind="Object Deleted"),
        sent.seaweed(event="delete"),
        sent.seaweed(".uploads/e4efca53_b33d/0001_b681c598.part"),
        {
            "key": "/buckets/incoming/shop/cat.jpg",
            "event_type": "delete",
            "message": {"old_entry": {"name": "cat.jpg"}},
        },
    ],
)
def test_an_event_without_new_bytes_is_not_new(body: Any) -> None:
    assert not read_one(body).is_new


@pytest.mark.parametrize(
    "body", [sent.aws(sent.aws_record("shop/")), sent.eventbridge("shop/"), sent.seaweed("shop", **SEAWEED_FOLDER)]
)
def test_folders_are_told_from_objects(body: Any) -> None:
    assert read_one(body).is_folder


def test_an_object_that_seaweed_moves_has_its_new_path() -> None:
    moved = sent.seaweed("shop/new.jpg", event="rename") | {"key": "/buckets/incoming/shop/old.jpg"}

    assert read_one(moved).key == "shop/new.jpg"


def test_a_later_change_of_attributes_is_the_same_version_in_seaweed() -> None:
    put = read_one(sent.seaweed())
    changed = read_one(sent.seaweed(event="update", attributes={"file_size": 5000, "mtime": 1796079999}))

    assert (put.identity, put.time_ms) == (changed.identity, changed.time_ms)


def test_the_same_bytes_written_again_are_another_version_in_seaweed() -> None:
    again = read_one(sent.seaweed(event="update", written_ns=1796072799000000000))

    assert read_one(sent.seaweed()).identity != again.identity


def test_a_small_object_of_seaweed_that_has_no_chunks_has_the_time_of_its_entry() -> None:
    event = read_one(sent.seaweed(chunks=[], attributes={"file_size": 10, "mtime": 1796072721, "mtime_ns": 5}))

    assert event.time_ms == 1796072721000


def test_one_version_is_the_same_in_a_record_and_in_eventbridge() -> None:
    assert read_one(sent.aws()).identity == read_one(sent.eventbridge()).identity


@pytest.mark.parametrize(
    "changed",
    [
        sent.aws(sent.aws_record("shop/dog.jpg")),
        sent.aws(sent.aws_record(bucket="other")),
        sent.aws(sent.aws_record(eTag="b4db92979cb2fe6a51d2e3c8025d9941")),
        sent.aws(sent.aws_record(sequencer="0061A54E51096C5C")),
        sent.aws(sent.aws_record(versionId="2")),
    ],
)
def test_another_object_or_version_has_another_identity(changed: Any) -> None:
    assert read_one(sent.aws()).identity != read_one(changed).identity


@pytest.mark.parametrize(
    "body",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": sent.TIME, "Bucket": "incoming"},
        sent.sns({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": sent.TIME, "Bucket": "incoming"}),
        sent.aws(sent.aws_record() | {"s3": {}}),
        sent.aws(sent.aws_record() | {"eventName": None}),
        sent.aws(sent.aws_record(key="")),
        sent.aws(sent.aws_record("a" * 1025)),
        sent.aws(sent.aws_record("a\0b")),
        sent.aws(sent.aws_record(size=-1)),
        sent.aws(sent.aws_record(size=1e400)),
        {"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "%ff"}}, "eventName": "ObjectCreated:Put"}]},
        {"Records": [None]},
        {"Records": ["\ud800"]},
        sent.eventbridge("\ud800.jpg"),
        sent.eventbridge(bucket="a/b"),
        sent.seaweed(path="/home/cat.jpg"),
        sent.seaweed() | {"message": {"new_entry": {"name": 7}}},
    ],
)
def test_what_is_no_event_of_an_object_is_named_and_makes_no_job(body: Any) -> None:
    (found,) = read(body)

    assert isinstance(found, NoEvent)
    assert found.reason.endswith(".")


def test_each_record_of_a_body_is_read_for_itself() -> None:
    first, second, third = read(sent.aws(sent.aws_record("a.jpg"), {}, sent.aws_record("b.jpg")))

    assert isinstance(first, ObjectEvent)
    assert isinstance(second, NoEvent)
    assert isinstance(third, ObjectEvent)


def test_a_body_without_events_is_read() -> None:
    assert read({"Records": []}) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "7", '"text"', "{}", '{"Records": 7}', '[{"a": 1}]', "[" * 100_000, b"\xff\xfe\xfd", "9" * 5000],
)
def test_a_body_of_no_known_shape_is_refused(text: str | bytes) -> None:
    with pytest.raises(EventsUnreadable):
        read_events(text)


def test_an_envelope_in_an_envelope_is_refused() -> None:
    with pytest.raises(EventsUnreadable):
        read(sent.sns(sent.sns(sent.aws())))


def test_more_events_than_a_body_may_have_are_refused() -> None:
    assert len(read(sent.aws(*[{}] * MAX_EVENTS))) == MAX_EVENTS

    with pytest.raises(EventsUnreadable, match="more than"):
        read(sent.aws(*[{}] * (MAX_EVENTS + 1)))


@pytest.mark.parametrize(
    ("address", "is_logged"),
    [
        ("https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336", True),
        ("https://sns.eu-central-1.amazonaws.com.evil.example/?Token=1", False),
        ("http://169.254.169.254/latest/meta-data", False),
        ("https://sns.eu-central-1.amazonaws.com/a\nb", False),
        (7, False),
    ],
)
def test_a_subscription_is_logged_for_a_person_and_not_confirmed(address: Any, is_logged: bool) -> None:
    with capture_logs() as logs:
        (found,) = read(sent.sns("You have chosen", kind="SubscriptionConfirmation") | {"SubscribeURL": address})

    assert isinstance(found, NoEvent)
    assert [(line["event"], line["subscribe_url"]) for line in logs] == [
        ("ingest.unconfirmed", address if is_logged else None)
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
BODIES = [
    sent.aws(), sent.sns(sent.aws()), sent.eventbridge(), sent.minio(), sent.minio_redis(), sent.seaweed()
]  # fmt: skip


def replace_somewhere(body: Any, path: list[int], value: Any) -> Any:
    """Return a body with one of its values replaced; `path` chooses which one."""
    keys = list(body) if isinstance(body, dict) else list(range(len(body))) if isinstance(body, list) else []
    if not path or not keys:
        return value
    chosen = keys[path[0] % len(keys)]
    changed = {chosen: replace_somewhere(body[chosen], path[1:], value)}
    return body | changed if isinstance(body, dict) else [changed.get(at, item) for at, item in enumerate(body)]


@given(st.sampled_from(BODIES), st.lists(st.integers(0, 20), min_size=1, max_size=6), JSON)
def test_a_body_with_anything_in_it_is_read_or_refused(body: Any, path: list[int], value: Any) -> None:
    text = json.dumps(replace_somewhere(body, path, value))

    try:
        found = read_events(text)
    except EventsUnreadable:
        return
    for event in found:
        assert isinstance(event, NoEvent) or "".join(event.identity).encode()


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        read_events(body)
    except EventsUnreadable:
        return
