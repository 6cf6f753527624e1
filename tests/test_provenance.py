"""The revision of the code: right, and without a trace in the checkout."""

import os
import subprocess

from keras_rawaudio import provenance


def test_the_revision_says_what_is_changed_and_writes_no_index(tmp_path, monkeypatch):
    def git(*words):
        author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", tmp_path, *author, *words], check=True, capture_output=True)

    source = tmp_path / "package" / "code.py"
    source.parent.mkdir()
    source.write_text("first", encoding="utf-8")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr(provenance, "__file__", str(source))
    os.utime(source, (1, 1))  # as written again, with the same content
    index = (tmp_path / ".git" / "index").read_bytes()
    revision = provenance.git_revision()
    assert len(revision) == 12
    assert (tmp_path / ".git" / "index").read_bytes() == index
    source.write_text("second", encoding="utf-8")
    assert provenance.git_revision() == f"{revision}-dirty"
    (tmp_path / ".git").rename(tmp_path / "git")
    assert provenance.git_revision() == ""
