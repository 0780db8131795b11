"""The page's modules that have no page: what they compute, asked of the browser that runs them."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page

from deploy.local.stack import Stack
from stages.errors import STAGE_ERRORS
from tests.browser.page_helpers import Visitor
from tests.support.images import encode_image, photo
from tests.support.problem_codes import CODES

STREAM = (
    "retry: 2000\r\n\r\n: heartbeat\r\n\r\nevent: job\nid: 7\ndata: {\ndata:  }\n\n"
    "data:x\r\rid\nevent:job\ndata: последнее\n\nevent: job\ndata: cut off"
)
HEARD = [
    {"type": "message", "id": None, "retry": 2000, "text": ""},
    {"type": "job", "id": "7", "retry": None, "text": "{\n }"},
    {"type": "message", "id": "7", "retry": None, "text": "x"},
    {"type": "job", "id": "", "retry": None, "text": "последнее"},
]
DEAD = {"attempts_exhausted", "dispatches_exhausted", "internal_error"}
ELSEWHERE = {
    "host_not_allowed",
    "cross_site",
    "query_timeout",
    "job_unreadable",
    "idempotency_key_unreadable",
    "upload_unreadable",
    "upload_not_found",
    "job_not_found",
    "bulk_not_found",
    "bulk_unreadable",
    "webhook_not_found",
    "webhook_unreadable",
    "delivery_not_found",
    "invalid_request",
    "unavailable",
    "bad_gateway",
    "gateway_timeout",
    "outcome_unknown",
    "rate_limited",
}

THUMBHASHES = {  # size, and the corners and the middle by thumbHashToRGBA of npm's thumbhash 0.1.1
    "WOcJHYwwl2Vgd4dyiFiZhkCaGPTZ": (
        (32, 23),
        [(0, 0, 0, 255), (107, 2, 52, 255), (135, 161, 154, 255), (0, 84, 102, 255), (138, 130, 140, 255)],
    ),
    "GMcJHQ5QSmF3J4dIiJZ4eGCqCNXZ": (
        (23, 32),
        [(0, 0, 3, 255), (68, 0, 16, 255), (74, 133, 128, 255), (0, 120, 135, 255), (118, 85, 103, 255)],
    ),
    "VeeFDIgpMIZBdXFZCsSoMJ/PifhpiJaXCA==": (
        (32, 26),
        [(13, 1, 32, 255), (100, 24, 68, 180), (92, 121, 125, 149), (17, 102, 98, 143), (108, 96, 119, 143)],
    ),
}

Compute = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
async def page(frontend_stack: Stack, context: BrowserContext) -> AsyncIterator[Page]:
    """A page to compute on."""
    visitor = Visitor(context, frontend_stack.frontend_url)
    yield await visitor.open()
    await visitor.leave()


@pytest.fixture
def compute(page: Page) -> Compute:
    """Evaluate JavaScript with a module's names in `m` and an argument in `given`."""

    async def evaluate(module: str, body: str, given: object = None) -> Any:
        script = f"async given => {{ const m = await import('/{module}.js'); {body} }}"
        return await page.evaluate(script, given)

    return evaluate


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
async def test_a_stream_is_understood_however_it_is_cut(compute: Compute, piece: int) -> None:
    body = """
      const bytes = new TextEncoder().encode(given.text);
      const stream = new ReadableStream({ start(controller) {
        for (let at = 0; at < bytes.length; at += given.piece) controller.enqueue(bytes.slice(at, at + given.piece));
        controller.close();
      } });
      return Array.fromAsync(m.parseEvents(stream));"""

    assert await compute("client", body, {"text": STREAM, "piece": piece}) == HEARD


async def test_an_archive_is_one_for_others_too(compute: Compute) -> None:
    files = {"one.jpg": b"\xff" * 3000, "ночь.png": bytes(range(256)), "empty": b""}
    body = """
      const files = given.map(([name, bytes]) => ({ name, bytes: Uint8Array.from(bytes) }));
      const blob = m.zip([...files, files[0], { ...files[0], name: "ONE.jpg" }], new Date(2026, 10, 22, 13, 5, 8));
      return btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer())));"""

    packed = await compute("js/zip", body, [[name, list(content)] for name, content in files.items()])

    with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*files, "one (2).jpg", "ONE (3).jpg"]
        assert [archive.read(name) for name in files] == list(files.values())
        assert archive.infolist()[0].date_time == (2026, 11, 22, 13, 5, 8)


async def test_checksums_are_those_of_zlib(compute: Compute) -> None:
    content = encode_image(photo(40, 30), "jpeg")

    assert await compute("client", "return m.crc32(Uint8Array.from(given));", list(content)) == zlib.crc32(content)


async def test_a_thumbhash_is_the_picture_that_the_reference_draws(compute: Compute) -> None:
    body = """
      return given.map((hash) => {
        const bytes = Uint8Array.from(atob(hash), (letter) => letter.charCodeAt(0));
        const { width, height, pixels } = m.decodeThumbhash(bytes);
        const places = [[0, 0], [width - 1, 0], [width >> 1, height >> 1], [0, height - 1], [width - 1, height - 1]];
        const pixelAt = ([x, y]) => [...pixels.slice((y * width + x) * 4, (y * width + x + 1) * 4)];
        return [[width, height], places.map(pixelAt)];
      });"""

    drawn = await compute("client", body, list(THUMBHASHES))

    for (size, found), (expected_size, expected) in zip(drawn, THUMBHASHES.values(), strict=True):
        assert tuple(size) == expected_size
        assert found == [pytest.approx(pixel, abs=1) for pixel in expected]


async def test_a_rendition_that_is_cut_does_not_stand_for_the_original(compute: Compute) -> None:
    job = {"original": {"width": 4001, "height": 3000}}
    square, large = {"width": 900, "height": 900}, {"width": 800, "height": 600}
    renditions = [{"square": square, "large": large}, {"square": square}, {}]

    found = [
        await compute("js/downloads", "return m.wholeRendition(given)", {**job, "renditions": r}) for r in renditions
    ]

    assert found == ["large", None, None]


async def test_a_placeholder_as_an_address_is_the_same_picture(compute: Compute) -> None:
    body = """
      return Promise.all(given.map(async (hash) => {
        const [, encoded] = m.thumbhashUrl(hash).split("base64,");
        const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const image = await createImageBitmap(new Blob([bytes(encoded)]), { premultiplyAlpha: "none" });
        const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
        canvas.drawImage(image, 0, 0);
        const { width, height, pixels } = m.decodeThumbhash(bytes(hash));
        const seen = canvas.getImageData(0, 0, width, height).data;
        const worst = Math.max(...pixels.map((level, at) => Math.abs(level - seen[at])));
        return [image.width === width, image.height === height, worst];
      }));"""

    seen = await compute("client", body, list(THUMBHASHES))

    assert seen == [[True, True, pytest.approx(0, abs=2)]] * len(THUMBHASHES)  # a canvas multiplies by alpha and back


@pytest.mark.parametrize("thumbhash", ["", "AAAA", "no base64!"])
async def test_a_placeholder_without_a_readable_hash_is_its_color(compute: Compute, thumbhash: str) -> None:
    body = "return m.placeholderPicture(given).style.getPropertyValue('--color');"

    assert await compute("js/placeholder", body, {"thumbhash": thumbhash, "color": "#7f6a52"}) == "#7f6a52"


async def test_a_pulled_box_stays_inside_keeps_its_aspect_and_its_far_side(compute: Compute) -> None:
    body = """
      const size = { width: 800, height: 600 };
      const wrong = [];
      const steps = [-900, -37, -1, 0, 1, 53, 900];
      for (const handle of ["n", "ne", "e", "se", "s", "sw", "w", "nw"])
        for (const aspect of [null, 16 / 9, 1, 9 / 16])
          for (const dx of steps) for (const dy of steps) {
            const from = m.resizeBox({ left: 200, top: 150, width: 320, height: 180 }, "se", 0, 0, size, aspect);
            const box = m.resizeBox(from, handle, dx, dy, size, aspect);
            const right = box.left + box.width, bottom = box.top + box.height;
            const inside = Math.min(box.left, box.top) >= 0 && Math.min(box.width, box.height) >= 1
              && right <= 800 && bottom <= 600;
            const kept = !aspect || Math.abs(box.width - box.height * aspect) <= 1 + aspect;
            const held = (!handle.includes("w") || Math.abs(right - from.left - from.width) <= 1)
              && (!handle.includes("e") || Math.abs(box.left - from.left) <= 1)
              && (!handle.includes("n") || Math.abs(bottom - from.top - from.height) <= 1)
              && (!handle.includes("s") || Math.abs(box.top - from.top) <= 1);
            if (!inside || !kept || !held) wrong.push({ handle, aspect, dx, dy, from, box });
          }
      return wrong;"""

    assert await compute("js/cropbox", body) == []


@pytest.mark.parametrize(
    ("format", "size"), [("png", [640, 480]), ("jpeg", [640, 480]), ("gif", [640, 480]), ("bmp", [640, 480])]
)
async def test_a_picture_is_measured_by_its_first_bytes(compute: Compute, format: str, size: list[int]) -> None:  # noqa: A002
    head = encode_image(photo(640, 480), format)[:2000]
    body = "return m.readImageSize(new DataView(Uint8Array.from(given).buffer));"

    assert await compute("js/file-check", body, list(head)) == size
    assert await compute("js/file-check", body, list(head[:8])) is None


async def test_hours_in_which_nothing_was_due_are_folded(compute: Compute) -> None:
    stages = {
        "validate": stage("2026-11-22T10:00:00Z", "2026-11-22T10:00:01Z", wait=1000, run=1000),
        "transform": stage("2026-11-22T18:00:00Z", "2026-11-22T18:00:01Z", wait=1000, run=3000),
        "finalize": stage(None, None, wait=None, run=None),
    }

    spans = await compute("js/timeline", "return m.layout(given);", {"finished_at": "now", "stages": stages})

    validate, transform = spans
    assert validate["waitRange"] == [0, pytest.approx(0.16, abs=0.01)]
    assert transform["waitRange"][0] == pytest.approx(0.36, abs=0.01)
    assert transform["runRange"][1] == 1


@pytest.mark.parametrize(
    ("size", "english", "russian"),
    [
        (1, "1 byte", "1 байт"),
        (1536, "1.5 KiB", "1,5 КиБ"),
        (300 * 1024, "300 KiB", "300 КиБ"),
        (25 * 1024 * 1024, "25 MiB", "25 МиБ"),
    ],
)
async def test_sizes_have_the_unit_of_the_limits(compute: Compute, size: int, english: str, russian: str) -> None:
    body = """
      const { currentLanguage, setLanguage } = await import("/js/i18n.js");
      const before = currentLanguage();
      const said = ["en", "ru"].map(language => (setLanguage(language), m.formatBytes(given)));
      setLanguage(before);
      return said;"""

    assert await compute("js/format", body, size) == [english, russian]


@pytest.mark.parametrize(
    ("kind", "rendition", "made", "name"),
    [
        ("crop", "output", {"format": "jpeg", "filename": "of the API.jpg"}, "of the API.jpg"),
        ("crop", "output", {"format": "jpeg"}, "photo.1-crop.jpg"),
        ("grayscale", "output", {"format": "webp", "filename": ""}, "photo.1-grayscale.webp"),
        ("previews", "small", {"format": "jpeg"}, "photo.1-small.jpg"),
        ("previews", "small", {"format": "jpeg", "filename": "../..\\.ssh/keys\0"}, "__.._.ssh_keys_"),
        ("previews", "small", {"format": "x/../../.profile"}, "photo.1-small.x_.._.._.profile"),
    ],
)
async def test_a_result_is_named_by_the_api_and_by_its_rule_where_an_older_one_says_nothing(
    compute: Compute, kind: str, rendition: str, made: dict[str, str], name: str
) -> None:
    job = {"kind": kind, "original": {"name": "folder/photo.1.png"}, "renditions": {rendition: made}}

    assert await compute("js/downloads", f"return m.fileName(given, '{rendition}');", job) == name


def stage(queued: str | None, started: str | None, *, wait: int | None, run: int | None) -> dict[str, Any]:
    """Build a stage as the API tells it."""
    times = {"queued_at": queued, "started_at": started, "queue_wait_ms": wait, "run_ms": run}
    return {"state": "done" if started else "pending", **times}


@pytest.mark.parametrize(
    ("size", "saving"),
    [(0, "\N{MINUS SIGN}100%"), (1, "\N{MINUS SIGN}99.9%"), (80, "\N{MINUS SIGN}99.2%"), (20_000, "+100%")],
)
async def test_what_is_left_of_a_file_is_never_nothing(compute: Compute, size: int, saving: str) -> None:
    assert await compute("js/format", "return m.formatSaving(given, 10_000);", size) == saving


async def test_a_rule_that_says_what_the_failure_says_is_not_repeated(compute: Compute) -> None:
    frames, pixels = ({"rule": "of_its_own", "message": f"Too many {noun}."} for noun in ("frames", "pixels"))
    body = "return given.map(errors => m.problemBox({ code: 'c', message: 'Too many frames.', errors }).innerText);"

    texts = await compute("js/failure", body, [[frames], [pixels], [frames, pixels]])

    assert [text.count("Too many") for text in texts] == [1, 2, 3]


async def test_a_job_says_where_its_results_were_put_and_why_a_reprocessing_failed(compute: Compute) -> None:
    exported = {"rendition": "card", "format": "webp", "dpr": 2, "destination": "shop", "key": "A-1/card@2x.webp"}
    job = {
        "source": {"url": None, "key": "in/A-1.jpg", "version": "3"},
        "exports": [{**exported, "bytes": 2048}],
        "reprocess_failure": {"code": "export_failed", "message": "The bucket is away.", "errors": []},
    }

    failure, source, exports = await compute("js/job-more", "return m.jobMore(given).map(part => part.innerText);", job)

    assert failure.startswith("The bucket is away. export_failed")
    assert "in/A-1.jpg" in source
    assert "Version:" in source
    assert exports == "Exported tocard · WebP · 2× · 2 KiBshop: A-1/card@2x.webp"  # noqa: RUF001


@pytest.mark.parametrize("part", ["", "-late"])
async def test_both_dictionaries_have_the_same_words_and_every_plural_form(compute: Compute, part: str) -> None:
    english = await compute(f"js/locales/en{part}", "return m.default;")
    russian = await compute(f"js/locales/ru{part}", "return m.default;")

    assert list(english) == list(russian)
    assert [key for key in english if names(english[key]) != names(russian[key])] == []
    forms = {key: set(words) for key, words in russian.items() if isinstance(words, dict)}
    assert [key for key in forms if set(english[key]) != {"one", "other"}] == []
    assert [key for key in forms if forms[key] != {"one", "few", "many", "other"}] == []


def names(words: str | dict[str, str]) -> set[str]:
    """Return what is filled in."""
    return set(re.findall(r"{(\w+)}", json.dumps(words)))


async def test_every_code_of_the_api_has_a_russian_sentence(compute: Compute) -> None:
    russian = await compute("js/locales/ru-problems", "return Object.keys(m.codes);")

    assert set(russian) == CODES | set(STAGE_ERRORS) | DEAD | ELSEWHERE


async def test_russian_counts_as_russians_do(compute: Compute) -> None:
    body = """
      const before = m.currentLanguage();
      await m.setLanguage("ru");
      const said = given.map(count => m.t("announce.chosen", { count }));
      await m.setLanguage(before);
      return said;"""

    said = await compute("js/i18n", body, [1, 2, 5, 11, 21, 22, 25])

    words = [sentence.split()[-1] for sentence in said]
    assert words == [
        "фотография.",
        "фотографии.",
        "фотографий.",
        "фотографий.",
        "фотография.",
        "фотографии.",
        "фотографий.",
    ]
