"""Settings: one frozen dataclass per concern, read from the environment once, at first use."""

import logging
import os
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import quote, urlencode

from shared.errors import InvalidSetting
from shared.secret_manager import SecretManager

LOCAL, STAGING, PRODUCTION = "local", "staging", "production"
_CONNECTION_NAME_COLONS = 2
OPENAI_URL = "https://api.openai.com/v1"
THREADS_BESIDE_CHATS = 16
_NO_QUOTA = 2**31 - 1


def _text(name: str, default: str = "") -> str:
    return os.environ.get(name) or default


def _base_url(name: str, default: str) -> str:
    return _text(name, default).rstrip("/")


def _number(name: str, default: float, least: float, most: float) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise InvalidSetting(f"{name} must be a number from {least:g} to {most:g}")
    return value


def _flag(name: str) -> bool:
    text = os.environ.get(name, "").lower()
    if text not in {"", "true", "false"}:
        raise InvalidSetting(f"{name} must be true or false")
    return text == "true"


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
    name = _text("ENVIRONMENT", PRODUCTION)
    if name not in {LOCAL, STAGING, PRODUCTION}:
        raise InvalidSetting("ENVIRONMENT must be local, staging or production")
    test_mode = _flag("TEST_MODE")
    if test_mode and name == PRODUCTION:
        raise InvalidSetting("TEST_MODE must not be true in production, nor where ENVIRONMENT is not set")
    return EnvironmentSettings(name, test_mode)


@dataclass(frozen=True, slots=True)
class MaintenanceSettings:
    """Whether this process refuses everybody.

    MAINTENANCE                  true: every route but those of health answers 503; scripts/restore.sh sets it
    """

    refuses: bool


@cache
def maintenance_settings() -> MaintenanceSettings:
    """Read whether this process refuses everybody. Raises InvalidSetting."""
    return MaintenanceSettings(_flag("MAINTENANCE"))


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the database is and how it may be used.

    DATABASE_URL                 postgresql://user:password@host:port/name?sslmode=…, or ?host=/socket/folder
    INSTANCE_CONNECTION_NAME     project:region:instance in Cloud SQL, where there is no DATABASE_URL; one is required
    DB_USER                      as whom there; default liftlog_backend
    DB_NAME                      which database there; default liftlog_user_data
    DB_IAM_AUTH                  true: as the function's own identity, without a password; default false, then the
                                 password is the secret DATABASE_PASSWORD
    CLOUD_SQL_ADMIN_ENDPOINT     another address of Cloud SQL's Admin API
    RATE_LIMIT_DATABASE_URL      the database of the rate limits; default the same one
    DB_POOL_SIZE                 most connections of one process, 1 to 100; default 8
    DB_POOL_TIMEOUT_SECONDS      longest wait for a free connection; default 5
    """

    url: str
    rate_limit_url: str
    pool_size: int
    pool_timeout_seconds: float


def _cloud_sql_url() -> str:
    """Return what stands for a DATABASE_URL where an instance in Cloud SQL is named, else an empty text."""
    instance = _text("INSTANCE_CONNECTION_NAME")
    if instance and instance.count(":") < _CONNECTION_NAME_COLONS:
        raise InvalidSetting("INSTANCE_CONNECTION_NAME must be like project:region:instance")
    query = {"instance": instance, "iam": str(_flag("DB_IAM_AUTH")).lower(), "admin": _text("CLOUD_SQL_ADMIN_ENDPOINT")}
    user, name = quote(_text("DB_USER", "liftlog_backend"), safe=""), quote(_text("DB_NAME", "liftlog_user_data"))
    return f"cloudsql://{user}@/{name}?{urlencode(query)}" if instance else ""


@cache
def database_settings() -> DatabaseSettings:
    """Read the database's settings. Raises InvalidSetting."""
    url = _text("DATABASE_URL") or _cloud_sql_url()
    if not url:
        raise InvalidSetting("DATABASE_URL is not set: postgresql://user:password@host:port/name")
    return DatabaseSettings(
        url=url,
        rate_limit_url=os.environ.get("RATE_LIMIT_DATABASE_URL") or url,
        pool_size=int(_number("DB_POOL_SIZE", 8, 1, 100)),
        pool_timeout_seconds=_number("DB_POOL_TIMEOUT_SECONDS", 5, 0.01, 60),
    )


@dataclass(frozen=True, slots=True)
class PasswordSettings:
    """How passwords of new accounts are stored.

    LEGACY_PASSWORD_HASH         true: also as the original backend stores them, so that both can run on one database;
                                 default false (the PBKDF2 hash costs about 190 ms of CPU)
    """

    legacy_hash: bool


@cache
def password_settings() -> PasswordSettings:
    """Read the passwords' settings. Raises InvalidSetting."""
    return PasswordSettings(legacy_hash=_flag("LEGACY_PASSWORD_HASH"))


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """How much one account and one address may store. TEST_MODE lifts all of them.

    QUOTA_EVENTS                 most events of one account at a time; default 10 000 (the app keeps them for 90 days)
    QUOTA_EVENT_MIB              most ciphertext of them, in MiB; default 64 (a session is 25 KB)
    QUOTA_SHARED_ITEMS           most shared items of one account at a time; default 500
    QUOTA_FOLLOW_SECRETS         most follow secrets of one account; default 5000
    QUOTA_MIB_PER_DAY            most ciphertext that one account writes on a day (UTC), in MiB; default 64
    QUOTA_ACCOUNTS_PER_HOUR      most new accounts from one address in an hour; default 60
    TRUSTED_PROXIES              networks, separated by commas, whose X-Forwarded-For says who the client is
    """

    events: int
    event_bytes: int
    shared_items: int
    follow_secrets: int
    bytes_per_day: int
    accounts_per_hour: int


@cache
def quota_settings() -> QuotaSettings:
    """Read the quotas. Raises InvalidSetting."""
    lifted = environment_settings().test_mode
    mib = 1024 * 1024

    def most(name: str, default: int, unit: int = 1) -> int:
        return _NO_QUOTA if lifted else int(_number(name, default, 1, 1_000_000)) * unit

    return QuotaSettings(
        events=most("QUOTA_EVENTS", 10_000),
        event_bytes=most("QUOTA_EVENT_MIB", 64, mib),
        shared_items=most("QUOTA_SHARED_ITEMS", 500),
        follow_secrets=most("QUOTA_FOLLOW_SECRETS", 5_000),
        bytes_per_day=most("QUOTA_MIB_PER_DAY", 64, mib),
        accounts_per_hour=most("QUOTA_ACCOUNTS_PER_HOUR", 60),
    )


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The disk that the database is on, where it is this machine's. `make serve` sets both.

    STORAGE_FOLDER               a folder on it; default none: the database is elsewhere
    STORAGE_RESERVE_MIB          room that is kept free for the database itself, in MiB; default 1056
    """

    folder: str
    reserve_bytes: int


@cache
def storage_settings() -> StorageSettings:
    """Read where the database's disk is. Raises InvalidSetting."""
    return StorageSettings(
        _text("STORAGE_FOLDER"), int(_number("STORAGE_RESERVE_MIB", 1056, 1, 1_000_000)) * 1024 * 1024
    )


@cache
def trusted_proxies() -> tuple[IPv4Network | IPv6Network, ...]:
    """Read whose word about a client's address is believed. Raises InvalidSetting."""
    try:
        return tuple(map(ip_network, filter(None, _text("TRUSTED_PROXIES").replace(" ", "").split(","))))
    except ValueError:
        raise InvalidSetting("TRUSTED_PROXIES must be networks like 10.0.0.0/8, separated by commas") from None


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and what log lines refer to.

    LOG_LEVEL                    DEBUG, INFO, WARNING or ERROR; default INFO, with a line for each request
    GCP_PROJECT_ID               the project whose traces log lines name
    """

    level: str
    project_id: str


@cache
def log_settings() -> LogSettings:
    """Read what is logged. Raises InvalidSetting."""
    level = _text("LOG_LEVEL", logging.getLevelName(logging.INFO)).upper()
    if level not in map(logging.getLevelName, (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)):
        raise InvalidSetting("LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR")
    return LogSettings(level, _text("GCP_PROJECT_ID"))


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
        _text("GCP_PROJECT_ID"), _number("SECRET_TTL_SECONDS", 300, 1, 86_400), _text("SECRET_MANAGER_ENDPOINT")
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
    value = os.environ.get(name, "")
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


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """How often a process writes its metrics to the database.

    METRICS_FLUSH_SECONDS        at most one statement in that time, 0.1 to 3600; default 5
    """

    flush_seconds: float


@cache
def metric_settings() -> MetricSettings:
    """Read how often metrics are written. Raises InvalidSetting."""
    return MetricSettings(_number("METRICS_FLUSH_SECONDS", 5, 0.1, 3600))


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Who may use the private routes. The token is a secret, OPERATOR_TOKEN (`secret`).

    OPERATOR_IAM                 true: the cloud has let the caller in (a function that only its invokers reach)
    OPERATOR_IDENTITIES          e-mail addresses, separated by commas, whose Google identity tokens are accepted
    OIDC_AUDIENCE                what those tokens must be made for: this service's URL
    OIDC_CERTS_URL               a mirror of Google's certificates
    """

    behind_iam: bool
    identities: frozenset[str]
    audience: str
    certs_url: str


@cache
def operator_settings() -> OperatorSettings:
    """Read who may use the private routes. Raises InvalidSetting."""
    identities = frozenset(_text("OPERATOR_IDENTITIES").replace(" ", "").lower().split(",")) - {""}
    audience = _text("OIDC_AUDIENCE")
    if identities and not audience:
        raise InvalidSetting("OIDC_AUDIENCE must be set where OPERATOR_IDENTITIES is: the URL of this service")
    certs_url = _text("OIDC_CERTS_URL", "https://www.googleapis.com/oauth2/v1/certs")
    return OperatorSettings(_flag("OPERATOR_IAM"), identities, audience, certs_url)


@dataclass(frozen=True, slots=True)
class CleanupSettings:
    """What the cleanup removes, and how it asks for another run.

    EVENT_RETENTION_DAYS         an expired event stays for so long after it was stored, 0 to 3650; default 30
    CLEANUP_SECONDS              longest run, 1 to 1500, below the function's time-out; default 240
    CLEANUP_JOB                  projects/…/locations/…/jobs/… in Cloud Scheduler; unset: nobody is asked
    CLOUD_SCHEDULER_ENDPOINT     another address of Cloud Scheduler's API, asked without credentials
    """

    event_retention_days: float
    seconds: float
    job: str
    scheduler_endpoint: str


@cache
def cleanup_settings() -> CleanupSettings:
    """Read what the cleanup removes. Raises InvalidSetting."""
    return CleanupSettings(
        event_retention_days=_number("EVENT_RETENTION_DAYS", 30, 0, 3650),
        seconds=_number("CLEANUP_SECONDS", 240, 1, 1500),
        job=_text("CLEANUP_JOB"),
        scheduler_endpoint=_text("CLOUD_SCHEDULER_ENDPOINT"),
    )


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the app stores are asked for subscriptions, and for which app. Their keys are secrets (`secret`).

    REVENUECAT_PROJECT_ID              the project whose customers are subscribers; unset denies RevenueCat
    REVENUECAT_ENTITLEMENT_ID          the entitlement that counts; unset: any, but none in production
    REVENUECAT_BASE_URL                default https://api.revenuecat.com/v2
    GOOGLE_PLAY_PACKAGE                the app's package name; unset denies Google
    GOOGLE_PLAY_BASE_URL               a mirror that answers for Google's API and, at /token, for its token endpoint
    APPLE_BUNDLE_ID                    the app's bundle id; default com.limajuice.liftlog
    APPLE_VERIFY_RECEIPT_URL           default https://buy.itunes.apple.com/verifyReceipt
    APPLE_SANDBOX_VERIFY_RECEIPT_URL   default https://sandbox.itunes.apple.com/verifyReceipt
    """

    revenuecat_project_id: str
    revenuecat_entitlement_id: str
    revenuecat_base_url: str
    google_play_package: str
    google_play_base_url: str
    apple_bundle_id: str
    apple_verify_receipt_url: str
    apple_sandbox_verify_receipt_url: str


@cache
def store_settings() -> StoreSettings:
    """Read the app stores' settings."""
    return StoreSettings(
        revenuecat_project_id=_text("REVENUECAT_PROJECT_ID"),
        revenuecat_entitlement_id=_text("REVENUECAT_ENTITLEMENT_ID"),
        revenuecat_base_url=_base_url("REVENUECAT_BASE_URL", "https://api.revenuecat.com/v2"),
        google_play_package=_text("GOOGLE_PLAY_PACKAGE"),
        google_play_base_url=_base_url("GOOGLE_PLAY_BASE_URL", ""),
        apple_bundle_id=_text("APPLE_BUNDLE_ID", "com.limajuice.liftlog"),
        apple_verify_receipt_url=_text("APPLE_VERIFY_RECEIPT_URL", "https://buy.itunes.apple.com/verifyReceipt"),
        apple_sandbox_verify_receipt_url=_text(
            "APPLE_SANDBOX_VERIFY_RECEIPT_URL", "https://sandbox.itunes.apple.com/verifyReceipt"
        ),
    )


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which language model plans workouts, behind any endpoint that speaks OpenAI's chat completions.

    OPENAI_BASE_URL              default https://api.openai.com/v1; another one may need no key
    OPENAI_MODEL                 default gpt-4.1
    OPENAI_TIMEOUT_SECONDS       longest wait for the first piece of an answer, 1 to 600; default 60
    """

    base_url: str
    model: str
    timeout_seconds: float


@cache
def model_settings() -> ModelSettings:
    """Read the language model's settings. Raises InvalidSetting."""
    return ModelSettings(
        base_url=_base_url("OPENAI_BASE_URL", OPENAI_URL),
        model=_text("OPENAI_MODEL", "gpt-4.1"),
        timeout_seconds=_number("OPENAI_TIMEOUT_SECONDS", 60, 1, 600),
    )


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """How many chats there may be.

    CHAT_LIMIT                   most chats of one process at once, 1 to 10 000; default 50
    CHAT_TURNS_PER_DAY           most turns of one subscriber in any 24 hours, 0: as many as they like; default 100
    THREADS                      requests at once in one process; with chats at least CHAT_LIMIT + 16; default four per
                                 core, and in `make serve` CHAT_LIMIT + 16
    """

    limit: int
    turns_per_day: int


@cache
def chat_settings() -> ChatSettings:
    """Read the chats' settings. Raises InvalidSetting, also when there are too few threads for so many chats."""
    threads = int(_number("THREADS", (os.cpu_count() or 1) * 4, 1, 20_000))  # functions-framework's own default
    if threads < threads_with_chats():
        raise InvalidSetting(
            f"THREADS must be at least {threads_with_chats()}: each of CHAT_LIMIT={_chat_limit()} chats has one, and"
            f" other requests need {THREADS_BESIDE_CHATS}"
        )
    return ChatSettings(_chat_limit(), int(_number("CHAT_TURNS_PER_DAY", 100, 0, 1_000_000)))


def threads_with_chats() -> int:
    """Return how many threads a process with chats needs. Raises InvalidSetting."""
    return _chat_limit() + THREADS_BESIDE_CHATS


def _chat_limit() -> int:
    return int(_number("CHAT_LIMIT", 50, 1, 10_000))
