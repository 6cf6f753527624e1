"""The same file on a local Ray of two workers."""

import numpy as np
import pytest

from keras_rawaudio.sweeps.settings import Range
from keras_rawaudio.sweeps.sweep import sweep
from keras_rawaudio.training.run_folder import RunFolder

pytest.importorskip("ray")


def test_ranges_as_ray_has_them():
    """Both ends of a range of whole numbers can be drawn."""
    from keras_rawaudio.sweeps.ray_engine import _space

    space = _space(Range(low=2, high=4))
    assert {space.sample() for _ in range(60)} == {2, 3, 4}
    stepped = _space(Range(low=2, high=6, step=2))
    assert {stepped.sample() for _ in range(60)} == {2, 4, 6}
    draws = np.array([_space(Range(low=1e-4, high=1e-2, log=True)).sample() for _ in range(60)])
    assert ((draws >= 1e-4) & (draws <= 1e-2)).all()


@pytest.mark.slow
def test_two_workers_train_the_trials_and_the_page_compares_them(small_sweep, monkeypatch):
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        tables = sweep("sweep.yaml", small_sweep / "out", "ray")
        again = sweep("sweep.yaml", small_sweep / "out", "ray")
    finally:
        ray.shutdown()
    runs = sorted((small_sweep / "out/runs").iterdir())
    assert len(runs) == 3
    assert all(run.name in tables for run in runs)
    assert again == tables
    rates = {RunFolder.open(run).read_recipe()["training"]["learning_rate"] for run in runs}
    assert len(rates) == 3
