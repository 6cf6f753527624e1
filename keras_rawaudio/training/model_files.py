"""The models that a run keeps, best.keras and last.keras: saved and loaded."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

from keras_rawaudio.errors import UserError, first_line, may_not_be_read
from keras_rawaudio.files import replacing
from keras_rawaudio.models import Model, SpectralModel
from keras_rawaudio.recipes import CodeTrainingSettings, TrainingSettings
from keras_rawaudio.training.build import require_float32
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.memory_limit import MemoryLimit
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.step import TrainingStep

# Updates of the biases of a model of codes: at each model that is kept, and at the end.
UPDATES, FINAL_UPDATES = 8, 32
LARGEST_RATIO = 10  # of what an archive holds to its own size


class ModelFiles:
    """Saves a model with the running average of its weights.

    A model of codes is kept with biases that balance its codes. Where it copies the train part for
    too long, or its streams stay in one place of it, its memory is limited.

    Args:
        run: where they lie.
        step: holds the model and the average.
        console: says what takes its time.
        data: the corpus as codes, for a model of codes.
        settings: of a model of codes, how long a copy may be.
    """

    def __init__(
        self,
        run: RunFolder,
        step: TrainingStep,
        console: Console,
        data: CodeCorpus | None,
        settings: TrainingSettings,
    ) -> None:
        self.run, self.step, self.console, self.model = run, step, console, step.model
        self.memory_limit: MemoryLimit | None = None
        if data and isinstance(settings, CodeTrainingSettings):
            assert isinstance(self.model, SpectralModel)
            self.memory_limit = MemoryLimit(self.model, data, settings.longest_copy, console)

    def save_last(self) -> None:
        """Write last.keras."""
        self._save_average(self.run.last)

    def balance_codes(self, steps: int) -> dict[str, float]:
        """Balance the codes, with a memory as short as it takes not to copy.

        Args:
            steps: how many were taken.

        Returns:
            `copied_seconds` of a model of codes; nothing of another.
        """
        if not self.memory_limit:
            return {}
        with self.step.averaged():
            return {"copied_seconds": self.memory_limit.find(UPDATES, steps)}

    def save_best(self) -> None:
        """Write best.keras."""
        self._save_average(self.run.best)

    def finish(self, steps: int) -> None:
        """Balance a model of codes more closely and keep it, at the end of training.

        Args:
            steps: how many were taken.
        """
        if self.memory_limit:
            with self.step.averaged():
                self.memory_limit.find_anew(FINAL_UPDATES, steps)
                self._save(self.run.best)

    def _save_average(self, path: Path) -> None:
        with self.step.averaged():
            self._save(path)

    def _save(self, path: Path) -> None:
        # Keras asks for the ending .keras, which the temporary name keeps.
        with replacing(path) as partial:
            self.model.save(partial)


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
    except PermissionError as error:
        raise may_not_be_read(path, error) from None
    except Exception as error:  # whatever Keras meets in a file that may hold anything
        raise UserError(
            f"cannot read {path}: {first_line(error)[:200]}; the file is damaged, or of another "
            "version"
        ) from None
    return model
