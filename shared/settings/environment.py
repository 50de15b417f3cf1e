"""What kind of installation this is."""

from dataclasses import dataclass
from functools import cache

from shared.errors import InvalidSetting
from shared.settings.reading import flag, text

LOCAL, STAGING, PRODUCTION = "local", "staging", "production"


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """What kind of installation this is.

    ENVIRONMENT                  local, staging or production; unset is as strict as production. `make serve` sets local
    TEST_MODE                    true: no rate limits; refused in production; default false
    """

    name: str
    test_mode: bool

    @property
    def is_production(self) -> bool:
        """Tell whether real subscriptions are wanted: no sandbox, no test purchase, no entitlement left unnamed."""
        return self.name == PRODUCTION


@cache
def environment_settings() -> EnvironmentSettings:
    """Read what kind of installation this is. Raises InvalidSetting."""
    name = text("ENVIRONMENT", PRODUCTION)
    if name not in {LOCAL, STAGING, PRODUCTION}:
        raise InvalidSetting("ENVIRONMENT must be local, staging or production")
    test_mode = flag("TEST_MODE")
    if test_mode and name == PRODUCTION:
        raise InvalidSetting("TEST_MODE must not be true in production, nor where ENVIRONMENT is not set")
    return EnvironmentSettings(name, test_mode)


@cache
def running_revision() -> str:
    """Return the name of what runs, as Cloud Run gives it: `liftlog-gateway-staging-00012-abc`; "" elsewhere.

    K_REVISION                   set by Cloud Run (its container runtime contract)
    """
    return text("K_REVISION")
