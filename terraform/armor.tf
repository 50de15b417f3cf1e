# What the load balancer refuses before a function sees it. Refusals are 403 and 429, never 404 or 401, which apps take
# to mean that an account or a subscription is gone.
locals {
  # Requests of one address within a minute, by route.
  limits_per_minute = merge([for row in values(local.public_functions) : try(row.limits_per_minute, {})]...)
  limit_of_the_rest = 6000

  largest_body_bytes = 8 * 1024 * 1024                   # twice what any route reads; what is in between gets the function's own 413
  upload_paths       = "^(/v2)?/(backup|user/import)/?$" # the platform refuses more than 32 MiB there

  # OWASP rules look at requests without a body only: bodies are base64 of ciphertext or talk with the planner, and look
  # like an attack by chance. Tokens of the chats' query are base64 as well.
  without_body     = "request.method.matches('^(GET|HEAD|DELETE|OPTIONS)$')"
  opaque_arguments = ["access_token", "id"]
  waf_rules        = ["cve-canary", "lfi-v33-stable", "protocolattack-v33-stable", "rce-v33-stable", "scannerdetection-v33-stable", "sqli-v33-stable"]
}

resource "google_compute_security_policy" "balancer" {
  count = local.is_balanced ? 1 : 0

  name        = "liftlog-${local.environment}"
  description = "Size, attacks, and rates per address"

  rule {
    description = "Bodies that nobody sends"
    priority    = 100
    action      = "deny(403)"

    match {
      expr {
        expression = "has(request.headers['content-length']) && int(request.headers['content-length']) > ${local.largest_body_bytes} && !request.path.lower().matches('${local.upload_paths}')"
      }
    }
  }

  dynamic "rule" {
    for_each = local.waf_rules

    content {
      description = "OWASP: ${rule.value}"
      priority    = 200 + 10 * rule.key
      action      = "deny(403)"

      match {
        expr {
          expression = "${local.without_body} && evaluatePreconfiguredWaf('${rule.value}', {'sensitivity': 1})"
        }
      }

      preconfigured_waf_config {
        exclusion {
          target_rule_set = rule.value

          dynamic "request_query_param" {
            for_each = local.opaque_arguments

            content {
              operator = "EQUALS"
              value    = request_query_param.value
            }
          }
        }
      }
    }
  }

  dynamic "rule" {
    for_each = sort(keys(local.limits_per_minute))

    content {
      description = rule.value
      priority    = 1000 + 10 * rule.key
      action      = "throttle"

      match {
        expr {
          expression = join(" && ", [
            "request.method.matches('^(${replace(split(" ", rule.value)[0], "GET", "GET|HEAD")})$')",
            "request.path.lower().matches('^(/v2)?${replace(split(" ", rule.value)[1], "/{[^}]*}/", "[^/]+")}$')",
          ])
        }
      }

      rate_limit_options {
        enforce_on_key = "IP"
        conform_action = "allow"
        exceed_action  = "deny(429)"

        rate_limit_threshold {
          count        = local.limits_per_minute[rule.value]
          interval_sec = local.minute
        }
      }
    }
  }

  rule {
    description = "Everything else"
    priority    = 9000
    action      = "throttle"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      enforce_on_key = "IP"
      conform_action = "allow"
      exceed_action  = "deny(429)"

      rate_limit_threshold {
        count        = local.limit_of_the_rest
        interval_sec = local.minute
      }
    }
  }

  rule {
    description = "Default"
    priority    = 2147483647
    action      = "allow"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }

  depends_on = [google_project_service.this]
}
