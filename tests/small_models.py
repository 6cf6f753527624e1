"""What small models of several tests have in common."""

import numpy as np
from keras import ops


def far_from_fresh(model, spread):
    """The model, with weights, all biases included, far from their initial values: by normal
    deviates of that `spread`."""
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + spread * rng.normal(size=weight.shape))
    for tier in model.tiers:
        if tier.clock_harmonics:
            tier.set_period(37.5)  # several turns in a test's audio
    head = model.head
    if head.kind == "predictive":
        # Its samples feed back with a factor: little of it, or they run into the rails.
        head.network.mixture.kernel.assign(0.1 * head.network.mixture.kernel)
        head.network.mixture.bias.assign(0.3 * head.network.mixture.bias - 0.3)
        filters = rng.normal(size=(head.filters, head.lpc_order))
        head.filter_bank.set_filters(filters / head.lpc_order)
        head.codes.envelope.fit([rng.uniform(-0.8, 0.8, 4000).astype("float32")])
        taps = head.postfilter.taps
        taps.assign(taps + 0.05 * rng.normal(size=taps.shape))
    return model
