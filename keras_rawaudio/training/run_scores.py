"""Score a run on a part of its corpus, beside the baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_rawaudio.data.corpus import Corpus, open_corpus
from keras_rawaudio.models import SpectralModel
from keras_rawaudio.training.baseline_scores import baselines
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.evaluator import Evaluator
from keras_rawaudio.training.gate_statistics import GateStatistics, report
from keras_rawaudio.training.model_files import load_model
from keras_rawaudio.training.run_folder import RunFolder


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
        `bits_per_code`, `bits_per_sample` or `variance_unexplained`, whichever the model is
        measured by; `baselines` in the same unit, and `samples`, how many codes or samples were
        scored; with `diagnose` also `layers`, as `gate_statistics.report` has them.

    Raises:
        UserError: not a run folder, no such part, no checkpoint yet.
    """
    folder = RunFolder.open(run)
    corpus = open_corpus(folder.describe()["corpus"])
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
