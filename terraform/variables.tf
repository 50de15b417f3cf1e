variable "project" {
  description = "Id of the Google Cloud project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Where everything runs that has a place."
  type        = string
  default     = "us-central1"
}

variable "environment" {
  description = "staging or production. Left out it is the workspace's name; where a workspace is selected, both must agree."
  type        = string
  default     = null

  validation {
    condition     = contains(["staging", "production"], coalesce(var.environment, terraform.workspace))
    error_message = "Select a workspace: terraform workspace select staging (or production)."
  }

  validation {
    condition     = var.environment == null || contains(["default", coalesce(var.environment, terraform.workspace)], terraform.workspace)
    error_message = "The environment is not that of the selected workspace, whose state it would overwrite."
  }
}

variable "domain" {
  description = "Host name of the service, whose DNS points to load_balancer_address; candidate.<domain> as well. Left out there is no load balancer: one public gateway function serves everything."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "A host name, like api.example.com."
  }
}

variable "unseen" {
  description = "Whether the domain still leads to another backend (MIGRATION_ROADMAP.md): alerts are made and silent, and the uptime check looks seldom."
  type        = bool
  default     = false
}

variable "max_instances" {
  description = "Most instances of a function, by family, where the manifest's number is not right for this project."
  type        = map(number)
  default     = {}
}

variable "settings" {
  description = "Further environment variables of all functions (docs/settings.md). Never a secret: this is kept in the state."
  type        = map(string)
  default     = {}

  validation {
    condition = length(setsubtract(keys(var.settings), [
      "APPLE_BUNDLE_ID", "BACKUP_KEEP_DAYS", "BACKUP_KEEP_MONTHS", "BACKUP_KEEP_NEWEST", "BACKUP_QUOTA_COUNT",
      "BACKUP_QUOTA_MIB", "CHAT_TURNS_PER_DAY", "DB_POOL_TIMEOUT_SECONDS", "EVENT_RETENTION_DAYS", "GOOGLE_PLAY_PACKAGE",
      "LEGACY_PASSWORD_HASH", "LOG_LEVEL", "METRICS_FLUSH_SECONDS", "OPENAI_BASE_URL",
      "OPENAI_HISTORY_TOKENS", "OPENAI_MODEL", "OPENAI_TIMEOUT_SECONDS", "PRO_PRODUCT_ID", "REVENUECAT_ENTITLEMENT_ID",
      "REVENUECAT_PROJECT_ID", "SECRET_TTL_SECONDS", "STORE_OUTAGE_HOURS", "TEST_MODE",
    ])) == 0
    error_message = "Only settings that are neither secret nor made by this configuration."
  }
}

variable "operators" {
  description = "Who may call the private functions and look at the dashboards: user:…, group:…, serviceAccount:…."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount):[^@]+@[^@]+$", member))])
    error_message = "Members like user:somebody@example.com; never allUsers."
  }
}

variable "alert_emails" {
  description = "E-mail addresses that every alert goes to."
  type        = set(string)

  validation {
    condition     = length(var.alert_emails) > 0
    error_message = "An alert that nobody gets is none: at least one address."
  }
}

variable "paging_channels" {
  description = "Existing notification channels that wake somebody up (projects/…/notificationChannels/…). Made by hand, so that their keys are not in the state."
  type        = set(string)
  default     = []

  validation {
    condition     = coalesce(var.environment, terraform.workspace) != "production" || length(var.paging_channels) > 0
    error_message = "In production failing health checks are told on two channels: name one that wakes somebody up, beside alert_emails."
  }
}

variable "owner" {
  description = "Whom to turn to when an alert is not acknowledged: a team or a person, and how to reach them. Every alert's message names it; production demands it."
  type        = string
  default     = ""

  validation {
    condition     = coalesce(var.environment, terraform.workspace) != "production" || length(trimspace(var.owner)) > 0
    error_message = "Production has an owner, and says how to reach them."
  }

}

variable "repository_url" {
  description = "Where this repository can be browsed; alerts link to docs/playbooks in it."
  type        = string

  validation {
    condition     = can(regex("^https://", var.repository_url))
    error_message = "A URL that starts with https://."
  }
}

variable "database_tier" {
  description = "Cloud SQL machine type, where that of the environment is not right (locals.tf)."
  type        = string
  default     = null
}

variable "backup_location" {
  description = "Where the database's backups lie: another region than the database's, or a multi-region. Left out: us, eu or asia, whichever holds the region."
  type        = string
  default     = null

  validation {
    condition     = var.backup_location == null || var.backup_location != var.region
    error_message = "Backups in the database's own region are lost with it."
  }

  validation {
    condition     = var.backup_location != null || can(regex("^(us|europe|asia)-", var.region))
    error_message = "No multi-region holds this region: name another region for the backups."
  }
}

variable "database_password_version" {
  description = "Add one to make a new database password, in Secret Manager and from there in Cloud SQL."
  type        = number
  default     = 1
}

variable "deletion_protection" {
  description = "Whether the database, its backups and the chat's service refuse to be deleted. Left out: in production."
  type        = bool
  default     = null
}
