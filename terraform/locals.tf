locals {
  environment   = coalesce(var.environment, terraform.workspace)
  is_production = local.environment == "production"
  is_balanced   = var.domain != null

  minute = 60 # seconds
  hour   = 60 * local.minute
  day    = 24 * local.hour

  # What an environment is made of. Instances of the functions: functions/manifest.yaml.
  sizes = {
    staging = {
      database_tier         = "db-g1-small" # 1 shared CPU, 1.7 GB
      database_availability = "ZONAL"
      max_connections       = 100
      backups               = 7
      log_days              = 3 # days of point-in-time recovery
      deletion_protection   = false
    }
    production = {
      database_tier         = "db-custom-2-7680" # 2 CPUs, 7.5 GB
      database_availability = "REGIONAL"
      max_connections       = 100
      backups               = 30
      log_days              = 7
      deletion_protection   = true
    }
  }
  size = local.sizes[local.environment]
  # The multi-region that holds the region. What Cloud SQL takes besides: any region (backup_location).
  backup_location = coalesce(
    var.backup_location,
    startswith(var.region, "europe-") ? "eu" : startswith(var.region, "asia-") ? "asia" : "us",
  )
  deletion_protection = coalesce(var.deletion_protection, local.size.deletion_protection)

  # The service levels, written from shared/service_levels.py (a test holds both against each other).
  service_levels = { for level in jsondecode(file("${path.module}/service_levels.json")) : level.metric => level }

  manifest = yamldecode(file("${path.module}/../functions/manifest.yaml"))
  secrets  = toset(flatten([for row in local.manifest.functions : row.secrets]))

  # Every function to deploy: behind a load balancer each family; else the private ones and a public gateway with all
  # of them. The operators' gateway is always there. `source` is the package.
  functions = merge(
    { for family, row in local.manifest.functions : family => merge(row, { source = family }) if local.is_balanced || row.access == "private" },
    { operator = merge(local.manifest.operator, local.everything, { access = "private" }) },
    { for family, row in { gateway = local.manifest.gateway } : family => merge(row, local.everything, { access = "public" }) if !local.is_balanced },
  )
  everything = { source = "gateway", secrets = setsubtract(local.secrets, ["database-password"]), routes = [] }

  # Each function logs in to the database as itself, but for migrate, which owns everything and has the password. What the
  # others may do, migrate gives them (migrations/grants.py). PostgreSQL takes 63 bytes: 30 and 30 and these three signs.
  account_ids    = { for family in keys(local.functions) : family => "liftlog-${replace(family, "_", "-")}-${local.short_environment}" }
  database_users = { for family, account in local.account_ids : family => "${account}@${var.project}.iam" if family != "migrate" }

  public_functions = { for family, row in local.functions : family => row if row.access == "public" }
  function_names   = { for family in keys(local.functions) : family => "liftlog-${replace(family, "_", "-")}-${local.environment}" }
  instances = {
    for family, row in local.functions : family => {
      least = row.instances[local.environment][0]
      most  = lookup(var.max_instances, family, row.instances[local.environment][1])
    }
  }

  # All services of this environment, for filters of logs and metrics.
  all_services = "liftlog-.*-${local.environment}"
}

# Connections to the database, at worst: during a deployment an old and a new revision of each function may have all
# their instances at once. `connections` of a row counts an instance's pools and its listener.
locals {
  revisions            = 2
  migrate_connections  = 2  # one to each database, one migration at a time
  reserved_connections = 10 # for superusers and Cloud SQL's own agents

  connection_budget = sum([
    for family, row in local.functions :
    family == "migrate" ? local.migrate_connections : local.revisions * local.instances[family].most * row.connections
  ])
  connection_limit = min(
    local.service_levels["database_connections"].alert,
    local.size.max_connections - local.reserved_connections,
  )
}
