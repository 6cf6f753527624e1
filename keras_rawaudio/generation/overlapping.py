"""The mean of the overlapping predictions of one trained model."""

from __future__ import annotations

from keras_rawaudio.errors import UserError
from keras_rawaudio.models import AudioModel, Model


def overlapping(model: Model, predictions: int) -> Model:
    """A generator whose samples are each the mean of several predictions of a trained model.

    The trained model predicts a frame, once per frame. With the same weights the new one does so
    several times per frame. As many recurrent states take turns, so that each moves by whole
    frames, as in training. Where predictions overlap, their mean is given out, weighted by the
    head's window. The new model has a shorter frame; it samples and exports as any other.

    Args:
        model: one tier under a regression head, with its trained weights.
        predictions: how many reach each sample; 1 gives the model itself.

    Returns:
        The new model. The weights are copied.

    Raises:
        UserError: a model of another kind, or a frame that is not so many equal parts.

    Example:
        >>> codec = {"name": "standardize", "mean": 0.0, "std": 1.0}
        >>> model = AudioModel([{"frame_size": 8, "units": 4}], {"kind": "regression"}, codec)
        >>> overlapping(model, 2).frame
        4
    """
    if predictions == 1:
        return model
    if not isinstance(model, AudioModel) or len(model.tiers) > 1:
        raise UserError("overlap is for models of one tier")
    config, frame = model.get_config(), model.frame
    if model.head.kind != "regression" or model.head.reconstruct or not model.head.end_layer:
        raise UserError(
            "overlap is for a regression head that predicts the next frame by an end layer"
        )
    if predictions < 1 or frame % predictions:
        raise UserError(f"overlap must divide the frame of {frame} samples; {predictions} does not")
    tier = config["tiers"][0] | {
        "frame_size": frame // predictions,
        "window": model.tiers[0].window,
        "dilation": predictions * model.tiers[0].dilation,
    }
    head = config["head"] | {"span": model.head.span or frame}
    again: AudioModel = AudioModel.from_config({**config, "tiers": [tier], "head": head})
    again.set_weights(model.get_weights())
    return again
