"""Where the weights of others are looked for."""

import pytest

from robustvit.core.errors import UserError
from robustvit.models.importing import checkpoint_file

FILE = "xcit_s12_imagenet_eps4.pth.tar"


@pytest.mark.parametrize("folder", ["", "checkpoints"])
@pytest.mark.parametrize("url", [f"mirror:{FILE}", f"https://example.invalid/release/{FILE}"])
def test_a_mirror_comes_before_any_download(tmp_path, folder, url):
    path = tmp_path / "second" / folder / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    mirrors = [str(tmp_path / "first"), str(tmp_path / "second")]
    with checkpoint_file(url, None, mirrors) as found:
        assert found == path


def test_a_file_in_no_mirror_is_named_with_what_to_do(tmp_path):
    with (
        pytest.raises(UserError) as caught,
        checkpoint_file(f"mirror:{FILE}", None, [str(tmp_path)]),
    ):
        pass
    for text in (FILE, str(tmp_path), "mirror/checkpoints/", "origin"):
        assert text in str(caught.value)


def test_a_hash_is_checked_in_a_mirror_too(tmp_path):
    (tmp_path / FILE).write_bytes(b"weights")
    with (
        pytest.raises(UserError, match="SHA-256"),
        checkpoint_file(f"mirror:{FILE}", "0" * 64, [str(tmp_path)]),
    ):
        pass
