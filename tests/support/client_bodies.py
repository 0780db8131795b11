"""Bodies as clients write them, byte for byte: captured, or, where a comment says so, written after their source."""

from __future__ import annotations

from dataclasses import dataclass, field

IMAGE = b"\xff\xd8\xff\xe0\r\n--\r\n" + bytes(range(256)) + b"\n--\r"
WEBKIT = "----WebKitFormBoundary4pthDKTfxJF2bQPw"
DISPOSITION = "Content-Disposition: form-data; "
TEXT = DISPOSITION + 'name="format"'
FILE = DISPOSITION + 'name="file"; filename="cat.jpg"'
JPEG = "Content-Type: image/jpeg"
Part = tuple[list[str], bytes]


@dataclass(frozen=True)
class ClientBody:
    """The body that a client sends for one file, and what a form reader should find in it."""

    client: str
    boundary: str
    parts: list[Part]
    name: str | None = "cat.jpg"
    fields: dict[str, str] = field(default_factory=dict)
    quoted: bool = False
    preamble: bytes = b""
    end: bytes = b"\r\n"

    @property
    def content_type(self) -> str:
        """The request's Content-Type."""
        boundary = f'"{self.boundary}"' if self.quoted else self.boundary
        return f"multipart/form-data; boundary={boundary}"

    @property
    def body(self) -> bytes:
        """The request's body."""
        line, end = b"--" + self.boundary.encode(), self.end
        heads = [b"".join(header.encode() + end for header in headers) for headers, _ in self.parts]
        parts = [line + end + head + end + content + end for head, (_, content) in zip(heads, self.parts, strict=True)]
        return self.preamble + b"".join(parts) + line + b"--" + end


FORMAT: Part = ([TEXT], b"webp")
FIELDS = {"format": "webp"}
LENGTH = f"Content-Length: {len(IMAGE)}"
CLIENT_BODIES = [
    ClientBody("curl 7.88", "------------------------5acd1064b5281d85", [FORMAT, ([FILE, JPEG], IMAGE)], fields=FIELDS),
    ClientBody("requests 2", "f1c97e879973d5e2c130e415595fe64b", [FORMAT, ([FILE], IMAGE)], fields=FIELDS),
    ClientBody("httpx", "5a5703faa1830c88dd1996de5156ea46", [FORMAT, ([FILE, JPEG], IMAGE)], fields=FIELDS),
    ClientBody(
        "aiohttp",
        "74c4f21e99e6461495d69e10ca4e34d0",
        [(["Content-Type: text/plain; charset=utf-8", TEXT], b"webp"), ([JPEG, FILE], IMAGE)],
        fields=FIELDS,
    ),
    ClientBody(  # with data as bytes, not as a file
        "aiohttp, bytes",
        "c63f2ce72a9c4288acc7dfe27b812221",
        [(["Content-Type: application/octet-stream", DISPOSITION + 'name="file"; filename="file"'], IMAGE)],
        name="file",
    ),
    ClientBody(  # up to version 1.24; after its source
        "urllib3 1.24, a name that is not ASCII",
        "703a87d166092f3de817d1e8e427791e",
        [([DISPOSITION + "name=\"file\"; filename*=utf-8''K%C3%A4se.jpg", JPEG], IMAGE)],
        name="Käse.jpg",
    ),
    ClientBody("fetch of Node", "----formdata-undici-024243970278", [FORMAT, ([FILE, JPEG], IMAGE)], fields=FIELDS),
    ClientBody(
        "axios with form-data, a stream",
        "--------------------------c270031fe79e9fabfbf22412",
        [FORMAT, ([FILE, JPEG], IMAGE)],
        fields=FIELDS,
    ),
    ClientBody(  # a Buffer has no name
        "axios with form-data, a buffer",
        "--------------------------aeb1c20874eebb7a84aafe4b",
        [([DISPOSITION + 'name="file"', "Content-Type: application/octet-stream"], IMAGE)],
        name=None,
    ),
    ClientBody(
        "Go's mime/multipart",
        "5b960ae036e32b03a42ba7334207e572a9f92aa7cb195a29c622cb560d80",
        [
            FORMAT,
            (
                [DISPOSITION + r'name="file"; filename="Käse \"1\".jpg"', "Content-Type: application/octet-stream"],
                IMAGE,
            ),
        ],
        name='Käse "1".jpg',
        fields=FIELDS,
    ),
    ClientBody(
        "fetch of Chromium, with undefined",
        WEBKIT,
        [
            ([DISPOSITION + 'name="quality"'], b"undefined"),
            ([DISPOSITION + 'name="file"; filename="K\u00e4se %221%22.jpg"', JPEG], IMAGE),
        ],
        name="Käse %221%22.jpg",
        fields={"quality": "undefined"},
    ),
    ClientBody("a Blob of Chromium", WEBKIT, [([DISPOSITION + 'name="file"; filename="blob"', JPEG], IMAGE)], "blob"),
    ClientBody(  # one <input type="file"> without a file, one with, and a button
        "a form of Chromium",
        WEBKIT,
        [
            ([DISPOSITION + 'name="utf8"'], b"&#10003;"),
            ([DISPOSITION + 'name="other"; filename=""', "Content-Type: application/octet-stream"], b""),
            ([FILE, JPEG], IMAGE),
            ([DISPOSITION + 'name="commit"'], b"Upload"),
        ],
        fields={"utf8": "&#10003;", "commit": "Upload"},
    ),
    ClientBody(  # after its source
        "Firefox",
        "---------------------------735323031399963166993862150",
        [FORMAT, ([FILE, JPEG], IMAGE)],
        fields=FIELDS,
    ),
    ClientBody("Dropzone 6", WEBKIT, [([FILE, JPEG], IMAGE)]),
    ClientBody(
        "Dropzone 6, uploadMultiple", WEBKIT, [([DISPOSITION + 'name="file[0]"; filename="cat.jpg"', JPEG], IMAGE)]
    ),
    ClientBody(
        "FilePond 4",
        WEBKIT,
        [
            ([DISPOSITION + 'name="filepond"'], b"{}"),
            ([DISPOSITION + 'name="filepond"; filename="cat.jpg"', JPEG], IMAGE),
        ],
    ),
    ClientBody("FilePond 4, name: file", WEBKIT, [([DISPOSITION + 'name="file"'], b"{}"), ([FILE, JPEG], IMAGE)]),
    ClientBody(
        "Uppy 6",
        WEBKIT,
        [
            ([DISPOSITION + 'name="caption"'], b"A cat"),
            ([DISPOSITION + 'name="name"'], b"cat.jpg"),
            ([DISPOSITION + 'name="type"'], b"image/jpeg"),
            ([FILE, JPEG], IMAGE),
        ],
        fields={"caption": "A cat", "name": "cat.jpg", "type": "image/jpeg"},
    ),
    ClientBody("Uppy 6, bundle of one", WEBKIT, [([DISPOSITION + 'name="files[]"; filename="cat.jpg"', JPEG], IMAGE)]),
    ClientBody(  # after its source
        ".NET HttpClient",
        "8e1a9c67-3f0b-4c5d-9d0e-2b7f1f6f4c11",
        [
            (["Content-Type: text/plain; charset=utf-8", DISPOSITION + "name=format"], b"webp"),
            ([JPEG, DISPOSITION + "name=file; filename=cat.jpg; filename*=utf-8''cat.jpg"], IMAGE),
        ],
        fields=FIELDS,
        quoted=True,
    ),
    ClientBody(  # after its source
        ".NET HttpClient, a name that is not ASCII",
        "8e1a9c67-3f0b-4c5d-9d0e-2b7f1f6f4c11",
        [
            (
                [
                    JPEG,
                    DISPOSITION + "name=file; filename=\"=?utf-8?B?S8Okc2UuanBn?=\"; filename*=utf-8''K%C3%A4se.jpg",
                ],
                IMAGE,
            )
        ],
        name="Käse.jpg",
        quoted=True,
    ),
    ClientBody(  # after its source
        "Spring's RestTemplate with a multipart charset",
        "Zk3p9tQ2x_Ld-7aR",
        [([DISPOSITION + 'name="file"; filename="=?UTF-8?Q?K=C3=A4se.jpg?="', JPEG, LENGTH], IMAGE)],
        name="Käse.jpg",
    ),
    ClientBody(  # after its source
        "OkHttp 4",
        "3f1e4b0e-58d4-4f6e-9b35-0a6d8f6b2c77",
        [([TEXT, "Content-Length: 4"], b"webp"), ([FILE, JPEG, LENGTH], IMAGE)],
        fields=FIELDS,
    ),
    ClientBody(  # after its source
        "Retrofit 2, @Part",
        "3f1e4b0e-58d4-4f6e-9b35-0a6d8f6b2c77",
        [
            (
                [
                    TEXT,
                    "Content-Transfer-Encoding: binary",
                    "Content-Type: multipart/form-data; charset=utf-8",
                    "Content-Length: 4",
                ],
                b"webp",
            ),
            ([FILE, JPEG, LENGTH], IMAGE),
        ],
        fields=FIELDS,
    ),
    ClientBody(  # after its source
        "Retrofit 2, @Part without a file name",
        "3f1e4b0e-58d4-4f6e-9b35-0a6d8f6b2c77",
        [
            (
                [
                    DISPOSITION + 'name="file"',
                    "Content-Transfer-Encoding: binary",
                    "Content-Type: multipart/form-data",
                    LENGTH,
                ],
                IMAGE,
            )
        ],
        name=None,
    ),
    ClientBody(  # after its source
        "Apache HttpClient 4",
        "VpnrzKqvFmPYtVv0nHk2GdJ1CwmBqTzJ",
        [
            ([TEXT, "Content-Type: text/plain; charset=ISO-8859-1", "Content-Transfer-Encoding: 8bit"], b"webp"),
            ([FILE, "Content-Type: application/octet-stream", "Content-Transfer-Encoding: binary"], IMAGE),
        ],
        fields=FIELDS,
    ),
    ClientBody(  # after its source
        "Alamofire 5", "alamofire.boundary.9a1c2b3d4e5f6071", [FORMAT, ([FILE, JPEG], IMAGE)], fields=FIELDS
    ),
    ClientBody(  # after its source
        "Alamofire 5, data without a file name",
        "alamofire.boundary.9a1c2b3d4e5f6071",
        [([DISPOSITION + 'name="file"', JPEG], IMAGE)],
        name=None,
    ),
    ClientBody(  # after its source
        "Guzzle 7",
        "1f0c3f1d7e0e1f6f1b0c5a6b7d8e9f0a1b2c3d4e",
        [([TEXT, "Content-Length: 4"], b"webp"), ([FILE, LENGTH, JPEG], IMAGE)],
        fields=FIELDS,
    ),
    ClientBody(  # after what it shows in its console
        "Postman", "--------------------------481634027543518834207243", [FORMAT, ([FILE, JPEG], IMAGE)], fields=FIELDS
    ),
    ClientBody(  # as scripts write it by hand
        "a shell script", "frontier", [FORMAT, ([FILE, JPEG], IMAGE)], fields=FIELDS, end=b"\n"
    ),
    ClientBody(  # as libraries for mail write it
        "a mail library",
        "===============8476120383==",
        [FORMAT, (["MIME-Version: 1.0", JPEG, FILE], IMAGE)],
        fields=FIELDS,
        quoted=True,
        preamble=b"This is a multi-part message in MIME format.\r\n\r\n",
    ),
]
BUNDLES = [
    ClientBody(
        "Uppy 6, bundle of two",
        WEBKIT,
        [([DISPOSITION + f'name="files[]"; filename="{name}"', JPEG], IMAGE) for name in ("cat.jpg", "dog.jpg")],
    ),
    ClientBody(
        "Dropzone 6, uploadMultiple, two files",
        WEBKIT,
        [([DISPOSITION + f'name="file[{i}]"; filename="cat.jpg"', JPEG], IMAGE) for i in (0, 1)],
    ),
    ClientBody("<input multiple>", WEBKIT, [([FILE, JPEG], IMAGE)] * 2),
]
