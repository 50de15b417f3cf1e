# What production promises. Plans only: they show everything that is asserted, and need no cloud.
variables {
  owner           = "the team that trains, team@example.com"
  paging_channels = ["projects/liftlog-example/notificationChannels/1"]
  project         = "liftlog-example"
  environment     = "production"
  domain          = "api.example.com"
  alert_emails    = ["alerts@example.com"]
  operators       = ["user:operator@example.com"]
  repository_url  = "https://github.com/example/liftlog-backend"
}

run "each_route_of_the_manifest_reaches_its_function" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for family, row in yamldecode(file("../functions/manifest.yaml")).functions : [
        for route in row.routes : [
          for path in [replace(split(" ", route)[1], "/{[^}]*}/", "Any-Thing"), upper("/v2${replace(split(" ", route)[1], "/{[^}]*}/", "x")}")] :
          try([
            for rule in one([for matcher in google_compute_url_map.balancer[0].path_matcher : matcher if matcher.name == "live"]).route_rules :
            rule.service if anytrue([
              for match in rule.match_rules :
              match.ignore_case && (lower(path) == coalesce(match.full_path_match, "-") || startswith(lower(path), coalesce(match.prefix_match, "-")))
            ])
          ][0], "nowhere") == "projects/liftlog-example/global/backendServices/liftlog-${replace(family, "_", "-")}-production"
        ]
      ] if row.access == "public"
    ]))
    error_message = "A path, or its form below /v2 or in capitals, goes to another function, or nowhere."
  }
  assert {
    condition     = alltrue([for index, rule in google_compute_url_map.balancer[0].path_matcher[0].route_rules : rule.priority == index + 1])
    error_message = "The rules are not listed in the order of their priorities, in which the first that matches wins."
  }
  assert {
    condition = alltrue([
      for key, backend in google_compute_backend_service.function :
      one(backend.backend).group == "projects/liftlog-example/regions/us-central1/networkEndpointGroups/${google_compute_region_network_endpoint_group.function[key].name}"
      && one(google_compute_region_network_endpoint_group.function[key].cloud_run).service == module.function[split("/", key)[1]].name
    ])
    error_message = "A backend service does not lead to the function of its name."
  }
}

run "every_routing_fault_is_503_and_never_404" {
  command = plan

  assert {
    condition = alltrue([
      for action in concat(
        google_compute_url_map.balancer[0].default_route_action,
        flatten([for matcher in google_compute_url_map.balancer[0].path_matcher : matcher.default_route_action]),
      ) : one(one(action.fault_injection_policy).abort) == { http_status = 503, percentage = 100 }
      ]) && length(google_compute_url_map.balancer[0].default_route_action) == 1 && alltrue([
      for matcher in google_compute_url_map.balancer[0].path_matcher : length(matcher.default_route_action) == 1
    ])
    error_message = "An unknown host or path is not aborted with 503."
  }
  assert {
    condition = toset(concat(
      [google_compute_url_map.balancer[0].default_service],
      [for matcher in google_compute_url_map.balancer[0].path_matcher : matcher.default_service],
    )) == toset(["projects/liftlog-example/global/backendServices/liftlog-nowhere-production"]) && length(google_compute_backend_service.nowhere[0].backend) == 0
    error_message = "Without the abort a fault would reach a backend."
  }
  assert {
    condition     = length([for rule in google_compute_security_policy.balancer[0].rule : rule if strcontains("${rule.action} ${try(rule.rate_limit_options[0].exceed_action, "")}", "404")]) == 0
    error_message = "Cloud Armor answers 404."
  }
}

run "only_public_families_let_anybody_in" {
  command = plan

  assert {
    condition = { for family, function in module.function : family => function.access == "public" } == merge(
      { for family, row in yamldecode(file("../functions/manifest.yaml")).functions : family => row.access == "public" },
      { operator = false },
    )
    error_message = "Who is public is not what the manifest says."
  }
  assert {
    condition     = alltrue([for function in module.function : length(function.invokers) == 0 if function.access == "public"])
    error_message = "A public function is opened by a grant, which domain-restricted sharing refuses."
  }
  assert {
    condition     = alltrue([for family in ["metrics", "migrate", "operator"] : module.function[family].invokers == toset(["user:operator@example.com"])])
    error_message = "Somebody but the operators may call a private function."
  }
  assert {
    condition     = module.function["cleanup"].invokers == toset(["user:operator@example.com", "serviceAccount:liftlog-scheduler-prod@liftlog-example.iam.gserviceaccount.com"])
    error_message = "The cleanup is called by Cloud Scheduler and operators, and by nobody else."
  }
  assert {
    condition = alltrue([
      for family, row in yamldecode(file("../functions/manifest.yaml")).functions :
      contains(["ALLOW_INTERNAL_AND_GCLB", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"], module.function[family].ingress) if row.access == "public"
    ])
    error_message = "A public function can be reached around Cloud Armor."
  }
  assert {
    condition     = length(setintersection([for backend in local.backends : backend.family], ["cleanup", "metrics", "migrate", "operator"])) == 0
    error_message = "A private function is behind the load balancer."
  }
}

run "each_function_reads_its_own_secrets_and_no_others" {
  command = plan

  assert {
    condition = alltrue([
      for family, row in yamldecode(file("../functions/manifest.yaml")).functions :
      module.function[family].readable_secrets == toset([for secret in row.secrets : "${secret}-production"])
    ])
    error_message = "A function's secrets are not those of its row."
  }
  assert {
    condition     = length(distinct([for function in module.function : function.member])) == length(module.function)
    error_message = "Two functions share an identity."
  }
}

run "nothing_has_a_public_database_address" {
  command = plan

  assert {
    condition = alltrue([
      for ip in google_sql_database_instance.main.settings[0].ip_configuration :
      !ip.ipv4_enabled && ip.ssl_mode == "TRUSTED_CLIENT_CERTIFICATE_REQUIRED" && length(ip.authorized_networks) == 0
    ])
    error_message = "The database has a public address, or speaks without certificates."
  }
  assert {
    condition     = google_sql_user.backend.password == null && google_sql_user.backend.name == "liftlog_backend"
    error_message = "The password is in the state."
  }
}

run "production_keeps_its_data" {
  command = plan

  assert {
    condition     = google_sql_database_instance.main.database_version == "POSTGRES_17" && google_sql_database_instance.main.settings[0].availability_type == "REGIONAL"
    error_message = "One zone's failure would stop the database."
  }
  assert {
    condition     = google_sql_database_instance.main.deletion_protection && google_sql_database_instance.main.settings[0].deletion_protection_enabled && google_sql_database_instance.main.settings[0].retain_backups_on_delete
    error_message = "The database can be deleted."
  }
  assert {
    condition     = google_sql_database_instance.main.settings[0].backup_configuration[0].point_in_time_recovery_enabled && google_sql_database_instance.main.settings[0].backup_configuration[0].transaction_log_retention_days == 7
    error_message = "The database cannot be taken back to a point in time."
  }
  assert {
    condition = (
      google_sql_database_instance.main.settings[0].backup_configuration[0].location == "us"
      && google_sql_database_instance.main.settings[0].final_backup_config[0].enabled
      && google_sql_database_instance.main.settings[0].final_backup_config[0].retention_days == 90
    )
    error_message = "The backups are lost with the region, or with the instance."
  }
  assert {
    condition     = toset([for database in google_sql_database.this : database.name]) == toset(["liftlog_user_data", "liftlog_rate_limit"])
    error_message = "A database is missing."
  }
}

# The runbook's table, once more by hand.
run "alert_thresholds_equal_the_service_levels" {
  command = plan

  assert {
    condition = {
      for metric, policy in google_monitoring_alert_policy.service_level : metric =>
      join(" ", [for threshold in policy.conditions[0].condition_threshold : format("%s %.3f %s", threshold.comparison, threshold.threshold_value, threshold.duration)])
      } == {
      error_rate_percent   = "COMPARISON_GT 0.010 300s"
      p95_ms               = "COMPARISON_GT 500.000 600s"
      p99_ms               = "COMPARISON_GT 1000.000 600s"
      database_connections = "COMPARISON_GT 80.000 300s"
      memory_percent       = "COMPARISON_GT 0.850 300s"
      cpu_percent          = "COMPARISON_GT 0.800 300s"
      health_percent       = "COMPARISON_LT 0.950 180s"
    }
    error_message = "A threshold or a window is not that of the service levels."
  }
  assert {
    condition     = strcontains(one(google_monitoring_alert_policy.service_level["error_rate_percent"].conditions[0].condition_threshold).denominator_filter, "request_count")
    error_message = "The error rate is not a ratio of requests."
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.service_level : one(policy.documentation).content != "" && startswith(one(one(policy.documentation).links).url, "https://github.com/example/liftlog-backend/blob/main/docs/playbooks/")])
    error_message = "An alert without its playbook."
  }
}

run "a_budget_that_is_exceeded_is_refused" {
  command = plan

  variables {
    max_instances = { event = 6 }
  }

  expect_failures = [google_sql_database_instance.main]
}

run "backups_beside_the_database_are_refused" {
  command = plan

  variables {
    backup_location = "us-central1"
  }

  expect_failures = [var.backup_location]
}

run "backups_of_a_region_without_a_multi_region_must_be_named" {
  command = plan

  variables {
    region = "australia-southeast1"
  }

  expect_failures = [var.backup_location]
}
