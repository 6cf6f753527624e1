"""From a run folder to files that play anywhere: what `export.py` calls."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_rawaudio.errors import UserError
from keras_rawaudio.exporters.metadata import (
    FORMAT_VERSION,
    describe,
    describe_origin,
    int8_cost,
    limits,
)
from keras_rawaudio.exporters.onnx_model import METADATA_KEY, export_onnx
from keras_rawaudio.exporters.refiner import (
    KIND,
    export_refiner_onnx,
    export_refiner_saved_model,
)
from keras_rawaudio.exporters.saved_model import export_saved_model
from keras_rawaudio.exporters.triton import write_model_repository
from keras_rawaudio.files import PARTIAL, refuse_immovable, sync, sync_tree, write_errors
from keras_rawaudio.generation.overlapping import overlapping
from keras_rawaudio.locks import exclusive
from keras_rawaudio.models import Refiner
from keras_rawaudio.training.interrupt import waiting
from keras_rawaudio.training.model_files import load_model
from keras_rawaudio.training.run_folder import RunFolder

FILES = ("triton", "generator.html", "saved_model", "generator.onnx")
REFINER_FILES = ("refiner_saved_model", "refiner.onnx")
# What an export makes in a model repository, in its one model, and in a SavedModel.
OF_TRITON, OF_TRITON_MODEL = {"generator"}, {"1", "initial_state", "config.pbtxt"}
OF_SAVED_MODEL = {"saved_model.pb", "fingerprint.pb", "variables", "assets"}
# Folders inside a partial one: of the complete new export, and of the old files that it replaces.
NEW, LEAVING = "new", "leaving"


def export(
    run: str | Path,
    out: str | Path,
    checkpoint: str = "best",
    int8: bool = False,
    web: bool = False,
    overlap: int = 1,
    triton: bool = False,
) -> Path:
    """Export a run's generator, or its refiner as `refiner.onnx` and `refiner_saved_model/`.

    Args:
        run: the run folder.
        out: the folder to write `generator.onnx` and `saved_model/` into.
        checkpoint: `"best"` or `"last"`.
        int8: the ONNX file's widest layers in 8 bits, and what that costs in its metadata.
        web: also `generator.html`, a page that plays the model in a browser.
        overlap: predictions whose mean each sample is, see `overlapping`.
        triton: also `triton/`, a model repository for the Triton inference server.

    Returns:
        The path of `generator.onnx`, or of `refiner.onnx`.

    Raises:
        UserError: not a run folder, or a folder that cannot be written; for `int8`, a head that
            does not draw sample by sample, or no corpus to measure the cost on; for `web`, no
            built page; for `overlap`, a model whose predictions cannot be averaged; for any of the
            four, a refiner; a run that is replaced by another one while it is read.
    """
    folder = RunFolder.open(run)
    described = sample_rate, address, recipe = _described(folder)
    model = load_model(folder, checkpoint)  # before a folder is made
    # A training describes itself before it saves a model.
    if _described(folder) != described:
        raise UserError(f"{run} was replaced by another run while it was read; export it again")
    origin = describe_origin(sample_rate, recipe, checkpoint)
    if isinstance(model, Refiner):
        if int8 or web or overlap > 1 or triton:
            raise UserError(
                "--int8, --web, --overlap and --triton are for generators, "
                "and this run is a refiner's"
            )
        return _export_refiner(model, origin, Path(out))
    model = overlapping(model, overlap)
    bundle = web_bundle() if web else None
    if not int8 and model.head.quantizable:
        print(
            "note: --int8 makes a file that plays faster; it holds what that costs in bits",
            file=sys.stderr,
        )
    target = Path(out)
    with exclusive(target), write_errors(target), _made_whole(target, FILES) as partial:
        arithmetic = int8_cost(model, address) if int8 else "float32"
        metadata = describe(model, origin) | {"limits": limits(address)}
        metadata |= {"arithmetic": arithmetic, "overlap": overlap}
        export_onnx(model, metadata, partial / "generator.onnx", int8)
        saved = json.dumps(metadata | {"arithmetic": "float32"})
        export_saved_model(model, saved, partial / "saved_model")
        if bundle:
            page = bundle(partial / "generator.onnx")
            (partial / "generator.html").write_text(page, encoding="utf-8")
        if triton:
            write_model_repository(partial / "generator.onnx", metadata, partial / "triton")
    return target / "generator.onnx"


def _described(run: RunFolder) -> tuple[int, str, dict[str, Any]]:
    """Sample rate, corpus and recipe of a run."""
    values = run.describe()
    return values["sample_rate"], values["corpus"], run.read_recipe()


def _export_refiner(model: Refiner, origin: dict[str, Any], target: Path) -> Path:
    metadata = {
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        "hop": model.hop,
        "delay": model.delay,
        "codec": model.codec.to_json(),
        **origin,
    }
    with exclusive(target), write_errors(target), _made_whole(target, REFINER_FILES) as partial:
        export_refiner_onnx(model, metadata, partial / "refiner.onnx")
        export_refiner_saved_model(model, json.dumps(metadata), partial / "refiner_saved_model")
    return target / "refiner.onnx"


@contextmanager
def _made_whole(target: Path, files: Sequence[str]) -> Iterator[Path]:
    """A folder whose files, of a generator or a refiner, become those of the target, together.

    They are on the disk before the first name changes. Where a process is killed between two
    names, the next export moves the others first.
    """
    for left in sorted(target.glob(f"{PARTIAL}*")):  # by an export that was killed
        if not left.name.removeprefix(PARTIAL).isdecimal():
            continue  # somebody's own
        if (left / NEW).is_dir() or (left / LEAVING).is_dir():
            _exchange(left, target)
            print(f"note: finished the export to {target} that was killed", file=sys.stderr)
        shutil.rmtree(left, ignore_errors=True)
    _refuse_foreign(target, files)
    for name in files:
        refuse_immovable(target / name)
    partial = target / f"{PARTIAL}{os.getpid()}"
    making = partial / "making"
    try:
        making.mkdir(parents=True)
        yield making
        sync_tree(making)
        os.replace(making, partial / NEW)
        with waiting():  # a signal between two names would lose what has moved
            _exchange(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_foreign(target: Path, files: Sequence[str]) -> None:
    """Refuse to replace what no export has made.

    Raises:
        UserError: there is a file of these names, and no model of ours beside it.
    """
    found = [name for name in files if os.path.lexists(target / name)]
    model = target / files[-1]
    if found and not _is_ours(model):
        alone = "" if model.exists() else f" with {model.name} beside it"
        raise UserError(
            f"{target / found[0]} is not of an export{alone}; move it away, "
            "or choose another folder"
        )
    # A model repository is a place for other models, too, and any folder one for notes.
    for folder, own in (
        ("triton", OF_TRITON),
        ("triton/generator", OF_TRITON_MODEL),
        ("saved_model", OF_SAVED_MODEL),
        ("refiner_saved_model", OF_SAVED_MODEL),
    ):
        inside = target / folder
        others = {path.name for path in inside.iterdir()} - own if inside.is_dir() else set()
        if folder.partition("/")[0] in found and others:
            raise UserError(
                f"{inside / min(others)} is not of an export; move it away, "
                "or choose another folder"
            )


def _is_ours(model: Path) -> bool:
    """Whether an ONNX file holds our metadata, which comes last; none is as large as 2 GiB."""
    if not model.is_file() or not 0 < model.stat().st_size < 1 << 31:
        return False
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.rfind(METADATA_KEY.encode()) >= 0


def _exchange(partial: Path, target: Path) -> None:
    """Move all files of the export before out of the target, then those in `partial/new` into it.

    generator.onnx goes first and comes last, so that it never stands beside the saved_model of
    another export. The name of `partial/new` changes between the two, so that the next export
    knows how far this one came.
    """
    new, leaving, old = (partial / name for name in (NEW, LEAVING, "old"))
    old.mkdir(exist_ok=True)
    ready = new if new.is_dir() else leaving
    refines = any((ready / name).exists() for name in REFINER_FILES)
    files = REFINER_FILES if refines else FILES
    waiting = [name for name in files if (ready / name).exists()]
    moves = []
    if ready == new:
        moves = [(target / n, old / n) for n in reversed(files) if (target / n).exists()]
        moves.append((new, leaving))
    moves += [(leaving / n, target / n) for n in waiting]
    done = []
    try:
        for move in moves:
            os.replace(*move)
            done.append(move)
    except BaseException:
        for source, path in reversed(done):
            os.replace(path, source)
        raise
    sync(target)


def web_bundle() -> Callable[[str | Path], str]:
    """What makes a page of an exported file; the sampler's package has it.

    Raises:
        UserError: no such package, or no built page in it.
    """
    try:
        from keras_rawaudio_serving.errors import ServingError
        from keras_rawaudio_serving.web_page import bundle, page_files
    except ImportError:
        raise UserError("--web needs the sampler: pip install ./serving") from None
    try:
        page_files()
    except ServingError as error:
        raise UserError(str(error)) from None
    return bundle
