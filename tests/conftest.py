"""What holds for every test."""

from hypothesis import HealthCheck, settings

# How long an example takes says what else the machine is doing, nothing about the code.
settings.register_profile(
    "no deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no deadline")
