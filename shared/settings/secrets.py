"""Secrets, and where they are."""

from dataclasses import dataclass
from functools import cache

from shared.secret_manager import SecretManager
from shared.settings.environment import environment_settings
from shared.settings.reading import number, text


@dataclass(frozen=True, slots=True)
class SecretSettings:
    """Where secrets are that the environment does not hold.

    GCP_PROJECT_ID               the project of Secret Manager; unset: there is none
    SECRET_TTL_SECONDS           how long a secret is used before it is read again, 1 to 86400; default 300
    SECRET_MANAGER_ENDPOINT      another address of Secret Manager's API, asked without credentials
    """

    project_id: str
    ttl_seconds: float
    endpoint: str


@cache
def secret_settings() -> SecretSettings:
    """Read where secrets are. Raises InvalidSetting."""
    return SecretSettings(
        text("GCP_PROJECT_ID"), number("SECRET_TTL_SECONDS", 300, 1, 86_400), text("SECRET_MANAGER_ENDPOINT")
    )


def secret(name: str) -> str:
    """Return a secret, or an empty text if there is none. Read at each use, since secrets are rotated.

    The environment variable of its name wins. Else, where GCP_PROJECT_ID is set, it is the newest version of
    `openai-api-key-staging` (for OPENAI_API_KEY) and the like in Secret Manager. Raises ProviderUnavailable.

    DATABASE_PASSWORD     of DB_USER in Cloud SQL, unless DB_IAM_AUTH is true
    OPERATOR_TOKEN        opens the private routes
    LOCAL_OPERATOR_TOKEN  opens those of a development server to other machines; `make serve` makes one
    WEB_AUTH_API_KEY      the one token of the store Web; unset denies it
    REVENUECAT_API_KEY    a v2 secret key that may read customers; unset denies RevenueCat
    GOOGLE_PLAY_KEY       base64 of a service account's JSON, or of its PEM or PKCS#12 key alone; unset denies Google
    GOOGLE_PLAY_EMAIL     the service account's e-mail address, where GOOGLE_PLAY_KEY does not hold it
    APPLE_SHARED_SECRET   of the app's subscriptions; unset denies Apple
    CHAT_TOKEN_KEY        signs the chats' connection tokens: one key of at least 32 characters, or a new and an old one
                          with a comma between; unset: the chats answer 503. `make serve` makes one
    OPENAI_API_KEY        of the language model; unset and no OPENAI_BASE_URL: the planner answers 503
    """
    value = text(name)
    manager = None if value else _secret_manager()
    if manager is None:
        return value
    return manager.get(f"{name.lower().replace('_', '-')}-{environment_settings().name}")


@cache
def _secret_manager() -> SecretManager | None:
    settings = secret_settings()
    if not settings.project_id:
        return None
    return SecretManager(settings.project_id, settings.endpoint, settings.ttl_seconds)
