"""How rules are tried: always on the same examples, however slow the machine.

`pytest --hypothesis-profile explore` tries others each time, and more of them.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "rules", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("rules")
