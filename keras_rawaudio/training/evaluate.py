"""Score a run on a part of its corpus, beside the baselines."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.errors import UserError
from keras_rawaudio.models import Model, SpectralModel
from keras_rawaudio.training.arithmetic import require_float32
from keras_rawaudio.training.baseline_scores import baselines
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.evaluator import Evaluator
from keras_rawaudio.training.gate_statistics import GateStatistics, report
from keras_rawaudio.training.run_folder import RunFolder

LARGEST_RATIO = 10  # of what an archive holds to its own size


def load_model(run: RunFolder, checkpoint: str = "best") -> Model:
    """The model of a run.

    Args:
        run: the folder.
        checkpoint: `"best"` or `"last"`.

    Raises:
        UserError: it has not been saved yet, or is damaged; or Keras is set to other arithmetic.
    """
    require_float32()
    path = run.best if checkpoint == "best" else run.last
    if not path.is_file():
        raise UserError(f"{run.path} has no {path.name} yet; train until its first validation")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > LARGEST_RATIO * path.stat().st_size:  # Keras does not compress
            raise ValueError("it is much larger inside than outside")
        model: Model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever Keras meets in a file that may hold anything
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise UserError(
            f"cannot read {path}: {reason}; the file is damaged, or of another version"
        ) from None
    return model


def evaluate(
    run: str | Path, split: str = "test", checkpoint: str = "best", diagnose: bool = False
) -> dict[str, Any]:
    """Score a run on one part, every sample once, state carried from first to last.

    Args:
        run: the run folder.
        split: `"train"`, `"validation"` or `"test"`.
        checkpoint: `"best"` or `"last"`.
        diagnose: add the gate statistics of the recurrent layers.

    Returns:
        `bits_per_sample` or `variance_unexplained`, `baselines` in the same unit, and `samples`;
        with `diagnose` also `layers`, as `gate_statistics.report` has them.

    Raises:
        UserError: not a run folder, no such part, no checkpoint yet.
    """
    folder = RunFolder.open(run)
    corpus = Corpus.open(Path(folder.describe()["corpus"]))
    model = load_model(folder, checkpoint)
    data: CodeCorpus | Corpus = corpus
    if isinstance(model, SpectralModel):
        data = CodeCorpus.load(folder.codes, model.spectral_codec.codebook_size)
    labels = data.labels(split) if isinstance(data, CodeCorpus) else None
    part = data.segments(split), data.starts(split), labels
    scores = Evaluator(model, *part)()
    result = {
        "run": str(run),
        "split": split,
        "checkpoint": checkpoint,
        model.head.measure: scores[model.head.measure],
        "baselines": baselines(data, model, split),
        "samples": scores["samples"],
    }
    if diagnose:
        result["layers"] = report(GateStatistics(model, *part)())
    return result
