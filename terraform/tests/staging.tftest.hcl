# Staging, where it should differ from production, and what is refused in both.
variables {
  project        = "liftlog-example"
  environment    = "staging"
  alert_emails   = ["alerts@example.com"]
  repository_url = "https://github.com/example/liftlog-backend"
}

run "staging_is_one_public_gateway_without_a_load_balancer" {
  command = plan

  assert {
    condition     = { for family, function in module.function : family => function.access == "public" } == { admin = false, cleanup = false, gateway = true, metrics = false, migrate = false, operator = false }
    error_message = "Not one public gateway beside the private functions."
  }
  assert {
    condition     = module.function["gateway"].ingress == "ALLOW_ALL" && module.function["gateway"].name == "liftlog-gateway-staging"
    error_message = "The gateway cannot be reached."
  }
  assert {
    condition     = length(google_compute_url_map.balancer) + length(google_compute_global_forwarding_rule.balancer) + length(google_compute_security_policy.balancer) + length(google_compute_backend_service.nowhere) == 0
    error_message = "Something of a load balancer is left."
  }
}

run "staging_is_small_and_can_be_removed" {
  command = plan

  assert {
    condition     = google_sql_database_instance.main.settings[0].availability_type == "ZONAL" && google_sql_database_instance.main.settings[0].tier == "db-g1-small"
    error_message = "Staging has a database of production's size."
  }
  assert {
    condition     = !google_sql_database_instance.main.deletion_protection && !google_sql_database_instance.main.settings[0].deletion_protection_enabled && google_storage_bucket.source.force_destroy
    error_message = "Staging cannot be removed."
  }
  assert {
    condition     = alltrue([for size in local.instances : size.least == 0])
    error_message = "Staging costs while nobody uses it."
  }
  assert {
    condition     = !google_sql_database_instance.main.settings[0].ip_configuration[0].ipv4_enabled
    error_message = "The database has a public address."
  }
}

run "staging_with_a_domain_has_production_s_shape" {
  command = plan

  variables {
    domain = "staging.example.com"
  }

  assert {
    condition     = length(google_compute_url_map.balancer) == 1 && !contains(keys(module.function), "gateway") && contains(keys(module.function), "ai_chat")
    error_message = "A domain does not bring the load balancer and a function for each family."
  }
  assert {
    condition     = local.connection_budget <= local.connection_limit
    error_message = "The budget does not hold."
  }
}

run "inputs_that_would_harm_are_refused" {
  command = plan

  variables {
    operators      = ["allUsers"]
    alert_emails   = []
    settings       = { OPENAI_API_KEY = "would be in the state" }
    repository_url = "http://example.com"
    domain         = "https://example.com"
  }

  expect_failures = [var.operators, var.alert_emails, var.settings, var.repository_url, var.domain]
}

run "an_environment_is_named_by_its_workspace" {
  command = plan

  variables {
    environment = null # and the workspace is "default"
  }

  expect_failures = [var.environment]
}
