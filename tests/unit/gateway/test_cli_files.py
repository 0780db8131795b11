"""How photos are found, and how their results are named."""

from __future__ import annotations

from pathlib import Path, PurePath
from uuid import uuid4

import pytest

from gateway.cli.command import CommandError
from gateway.cli.journal import Journal, JournalEntry
from gateway.cli.output_names import OutputNames, output_paths, rendition_label, upload_name_of
from gateway.cli.photo_search import ensure_files_exist, find_photos
from gateway.client.filenames import image_extension
from gateway.client.models import JobStatus
from pipeline import rendition_headers
from stages.formats import MEDIA_TYPES, OUTPUT_FORMATS
from storage.documents import OUTPUT, Kind
from tests.support.fakes import new_job

ACCEPTS = {"jpeg": "image/jpeg", "png": "image/png", "tiff": "image/tiff"}


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def find_names(*arguments: Path, recursive: bool = True, out: Path | None = None) -> list[str]:
    return [photo.path.name for photo in find_photos(arguments, ACCEPTS, recursive=recursive, out=out)]


def test_a_folder_means_all_images_in_it(tmp_path: Path) -> None:
    tree(tmp_path, "b.JPG", "a.jpeg", "c.tif", "notes.txt", "d.webp", "deep/er/e.png", "no-suffix")

    assert find_names(tmp_path) == ["a.jpeg", "b.JPG", "c.tif", "e.png"]


def test_subfolders_can_be_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "deep/b.jpg")

    assert find_names(tmp_path, recursive=False) == ["a.jpg"]


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", ".b.jpg", ".thumbnails/c.jpg")

    assert find_names(tmp_path) == ["a.jpg"]


def test_a_file_argument_needs_no_image_extension(tmp_path: Path) -> None:
    tree(tmp_path, "notes.txt", ".hidden")

    assert find_names(tmp_path / "notes.txt", tmp_path / ".hidden") == ["notes.txt", ".hidden"]


def test_a_photo_that_is_named_twice_is_returned_once(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg")

    assert find_names(tmp_path / "b.jpg", tmp_path, tmp_path / "." / "b.jpg") == ["b.jpg", "a.jpg"]


def test_the_output_folder_is_not_searched(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "previews/a-small.jpg")

    assert find_names(tmp_path, out=tmp_path / "previews") == ["a.jpg"]


def test_saved_results_next_to_the_photos_are_skipped(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "a-small.jpg", "out/deep/b-small.jpg", "out/c.jpg")
    entry = JournalEntry(file="a.jpg", size=0, mtime_ns=0, ask="", state="done", key="")
    for folder, saved in ((tmp_path, "a-small.jpg"), (tmp_path / "out", "deep/b-small.jpg")):
        with Journal(folder) as journal:
            journal.add(JournalEntry(**(vars(entry) | {"saved": {"small": saved}})))

    assert find_names(tmp_path) == ["a.jpg", "c.jpg"]


@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_every_input_format_has_a_file_extension(tmp_path: Path, name: str) -> None:
    tree(tmp_path, f"a.{image_extension(name)}")

    assert len(find_photos([tmp_path], {name: MEDIA_TYPES[name]}, recursive=True, out=None)) == 1


def test_all_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"No such file or folder: one\.jpg, two\.jpg$"):
        ensure_files_exist([Path("one.jpg"), tmp_path, Path("two.jpg"), Path("-")])


def test_photos_of_one_folder_keep_their_paths_in_it() -> None:
    root = Path("/photos")

    assert output_paths([(root / "a.jpg", root), (root / "deep/a.jpg", root)]) == [
        PurePath("a.jpg"),
        PurePath("deep/a.jpg"),
    ]


def test_photos_of_several_folders_keep_the_folders_names() -> None:
    spring, summer = Path("/p/spring"), Path("/p/summer")

    paths = output_paths([(spring / "a.jpg", spring), (summer / "a.jpg", summer), (Path("/x/b.jpg"), None)])

    assert paths == [PurePath("spring/a.jpg"), PurePath("summer/a.jpg"), PurePath("b.jpg")]


def test_file_arguments_keep_only_their_names_unless_two_are_alike() -> None:
    apart = [(Path("/p/spring/a.jpg"), None), (Path("/p/summer/b.jpg"), None)]
    alike = [(Path("/p/spring/a.jpg"), None), (Path("/p/summer/A.png"), None)]

    assert output_paths(apart) == [PurePath("a.jpg"), PurePath("b.jpg")]
    assert output_paths(alike) == [PurePath("spring/a.jpg"), PurePath("summer/A.png")]


def test_photos_with_the_same_stem_get_different_names() -> None:
    names = OutputNames({})

    stems = [names.claim(owner, PurePath(owner)) for owner in ("d/a.jpg", "d/a.png", "d/A.PNG", "d/a.gif")]

    assert stems == ["d/a", "d/a.png", "d/A~2", "d/a.gif"]


def test_a_photo_keeps_the_name_it_had() -> None:
    names = OutputNames({"d/a.png": "d/a.png"})

    assert names.claim("d/a.png", PurePath("d/a.png")) == "d/a.png"
    assert names.claim("d/a.jpg", PurePath("d/a.jpg")) == "d/a"


def test_a_name_that_other_files_have_is_not_used() -> None:
    names = OutputNames({})
    names.claim("a.jpg", PurePath("a.jpg"))

    stem = names.claim("a.jpg", PurePath("a.jpg"), is_taken=lambda stem: stem in {"a", "a.jpg"})

    assert stem == "a~2"
    assert names.claim("a.jpg", PurePath("a.jpg")) == "a~2"


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("format_", [name for name in OUTPUT_FORMATS if name != "auto"])
def test_a_saved_result_has_the_same_name_as_in_the_gateway(kind: Kind, format_: str) -> None:
    blank = new_job(kind=kind)
    record = blank.model_copy(update={"original": blank.original.model_copy(update={"name": "holiday/photo.jpeg"})})

    for rendition in ("small", "large") if kind is Kind.PREVIEWS else (OUTPUT,):
        ending = f"-{rendition_label(rendition, kind)}.{image_extension(format_)}"
        assert f"photo{ending}" == rendition_headers.filename(record, rendition, format=format_)


def test_the_results_of_an_earlier_job_are_named_after_its_upload() -> None:
    earlier = {"task_id": str(uuid4()), "kind": "crop", "status": "done"}
    named = earlier | {"original": {"name": "../a/photo.jpg"}}

    assert upload_name_of(JobStatus.model_validate(named)) == PurePath("photo.jpg")
    assert upload_name_of(JobStatus.model_validate(earlier)) == PurePath("image")
