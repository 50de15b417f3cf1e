# The way in: one address, one host, a map from paths to functions that comes from the manifest.
#
# Installed apps delete their account when they get a 404, so nothing here answers 404: what the map does not know is
# aborted with 503, and were the abort missing, the backend service behind it has no backends, which is a 503 as well.
locals {
  candidate_domain = local.is_balanced ? "candidate.${var.domain}" : null
  candidate_tag    = "candidate" # of revisions that scripts/deploy.sh tries before they get traffic
  fault_status     = 503

  # Path of each route without its arguments: "/user/" stands for "/user/{id_or_lookup}".
  fixed_paths = { for family, row in local.public_functions : family => distinct([
    for route in row.routes : split(" ", route)[1] if !strcontains(route, "{")
  ]) }
  # What has arguments in no path comes first: "/user/export" is below "/user/".
  families_in_order = concat(
    sort([for family, prefixes in local.path_prefixes : family if length(prefixes) == 0]),
    sort([for family, prefixes in local.path_prefixes : family if length(prefixes) > 0]),
  )
  path_prefixes = { for family, row in local.public_functions : family => distinct([
    for route in row.routes : split("{", split(" ", route)[1])[0] if strcontains(route, "{")
  ]) }

  # The map's two hosts: what serves everybody, and what is about to.
  tracks = local.is_balanced ? { live = var.domain, candidate = local.candidate_domain } : {}
  backends = merge([
    for track in keys(local.tracks) : { for family in keys(local.public_functions) : "${track}/${family}" => {
      track  = track
      family = family
      name   = "${local.function_names[family]}${track == "live" ? "" : "-${track}"}"
    } }
  ]...)

  # Ids as the load balancer's parts name each other: known when planned, so that a plan shows where each path goes.
  backend_ids = { for key, backend in google_compute_backend_service.function : key => "projects/${var.project}/global/backendServices/${backend.name}" }
  group_ids   = { for key, group in google_compute_region_network_endpoint_group.function : key => "projects/${var.project}/regions/${var.region}/networkEndpointGroups/${group.name}" }
  nowhere_id  = one([for backend in google_compute_backend_service.nowhere : "projects/${var.project}/global/backendServices/${backend.name}"])
}

resource "google_compute_global_address" "balancer" {
  count = local.is_balanced ? 1 : 0

  name = "liftlog-${local.environment}"

  depends_on = [google_project_service.this]
}

resource "google_compute_region_network_endpoint_group" "function" {
  for_each = local.backends

  name                  = each.value.name
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = module.function[each.value.family].name
    tag     = each.value.track == "live" ? null : local.candidate_tag
  }

  depends_on = [module.function] # a group whose service does not exist answers 404
}

resource "google_compute_backend_service" "function" {
  for_each = local.backends

  name                  = each.value.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.balancer[0].id

  backend {
    group = local.group_ids[each.key]
  }

  # Kept only of what Cloud Armor refused (logs.tf).
  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_compute_backend_service" "nowhere" {
  count = local.is_balanced ? 1 : 0

  name                  = "liftlog-nowhere-${local.environment}"
  description           = "Has no backends and never will: 503"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.balancer[0].id
}

resource "google_compute_url_map" "balancer" {
  count = local.is_balanced ? 1 : 0

  name            = "liftlog-${local.environment}"
  default_service = local.nowhere_id

  # Any other host.
  default_route_action {
    fault_injection_policy {
      abort {
        http_status = local.fault_status
        percentage  = 100
      }
    }
  }

  dynamic "host_rule" {
    for_each = local.tracks

    content {
      hosts        = [host_rule.value]
      path_matcher = host_rule.key
    }
  }

  dynamic "path_matcher" {
    for_each = local.tracks
    iterator = track

    content {
      name            = track.key
      default_service = local.nowhere_id

      # Any other path.
      default_route_action {
        fault_injection_policy {
          abort {
            http_status = local.fault_status
            percentage  = 100
          }
        }
      }

      # Route rules, since the original's paths ignore case and path rules cannot. Everything is below /v2 as well.
      dynamic "route_rules" {
        for_each = local.families_in_order
        iterator = family

        content {
          priority = family.key + 1
          service  = local.backend_ids["${track.key}/${family.value}"]

          dynamic "match_rules" {
            for_each = flatten([for path in local.fixed_paths[family.value] : [path, "/v2${path}"]])

            content {
              full_path_match = match_rules.value
              ignore_case     = true
            }
          }

          dynamic "match_rules" {
            for_each = flatten([for path in local.path_prefixes[family.value] : [path, "/v2${path}"]])

            content {
              prefix_match = match_rules.value
              ignore_case  = true
            }
          }
        }
      }
    }
  }
}

# Two certificates: one whose DNS is missing does not hold up the other. Proven by a record of its own instead of by where the
# name leads, so that they are there before the name leads here
# (https://cloud.google.com/certificate-manager/docs/domain-authorization).
resource "google_certificate_manager_dns_authorization" "balancer" {
  for_each = local.tracks

  name   = "liftlog-${each.key}-${substr(sha256(each.value), 0, 8)}"
  domain = each.value

  depends_on = [google_project_service.this]
}

resource "google_certificate_manager_certificate" "balancer" {
  for_each = local.tracks

  name = "liftlog-${each.key}-${substr(sha256(each.value), 0, 8)}"

  managed {
    domains            = [each.value]
    dns_authorizations = [google_certificate_manager_dns_authorization.balancer[each.key].id]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_certificate_manager_certificate_map" "balancer" {
  count = local.is_balanced ? 1 : 0

  name = "liftlog-${local.environment}"

  depends_on = [google_project_service.this]
}

resource "google_certificate_manager_certificate_map_entry" "balancer" {
  for_each = local.tracks

  name         = "liftlog-${each.key}-${substr(sha256(each.value), 0, 8)}"
  map          = google_certificate_manager_certificate_map.balancer[0].name
  hostname     = each.value
  certificates = [google_certificate_manager_certificate.balancer[each.key].id]
}

resource "google_compute_ssl_policy" "balancer" {
  count = local.is_balanced ? 1 : 0

  name            = "liftlog-${local.environment}"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.this]
}

resource "google_compute_target_https_proxy" "balancer" {
  count = local.is_balanced ? 1 : 0

  name            = "liftlog-${local.environment}"
  url_map         = google_compute_url_map.balancer[0].id
  certificate_map = "//certificatemanager.googleapis.com/${google_certificate_manager_certificate_map.balancer[0].id}"
  ssl_policy      = google_compute_ssl_policy.balancer[0].id

  depends_on = [google_certificate_manager_certificate_map_entry.balancer]
}

# HTTPS only: apps know no other, and there is nothing to look at with a browser.
resource "google_compute_global_forwarding_rule" "balancer" {
  count = local.is_balanced ? 1 : 0

  name                  = "liftlog-${local.environment}"
  target                = google_compute_target_https_proxy.balancer[0].id
  ip_address            = google_compute_global_address.balancer[0].id
  port_range            = "443"
  load_balancing_scheme = "EXTERNAL_MANAGED"
}
