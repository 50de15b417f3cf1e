output "service_url" {
  description = "Where clients find the service."
  value       = local.is_balanced ? "https://${var.domain}" : module.function["gateway"].uri
}

output "candidate_url" {
  description = "Where revisions tagged `candidate` answer before they get traffic; null without a load balancer, where a revision's own URL does."
  value       = local.is_balanced ? "https://${local.candidate_domain}" : null
}

output "load_balancer_address" {
  description = "What the DNS of the domain and of candidate.<domain> must name; null without a load balancer."
  value       = one(google_compute_global_address.balancer[*].address)
}

output "certificate_records" {
  description = "CNAME records that prove the names, for their certificates: to make in DNS before anything else, and to keep. Empty without a load balancer."
  value       = { for track, one in google_certificate_manager_dns_authorization.balancer : local.tracks[track] => one.dns_resource_record }
}

output "database_connection_name" {
  description = "project:region:instance, for Cloud SQL's proxy."
  value       = google_sql_database_instance.main.connection_name
}

output "function_urls" {
  description = "Each function's own URL, by family."
  value       = { for family, function in module.function : family => function.uri }
}

output "function_names" {
  description = "Each function's name, by family."
  value       = local.function_names
}

output "source_bucket" {
  description = "Bucket of the functions' packages."
  value       = google_storage_bucket.source.name
}

output "secrets_to_fill" {
  description = "Secrets that only people know; scripts/secret.sh puts them in. The service starts without them: what needs one answers 503 or 401 until it is there."
  value       = sort(setsubtract(local.secrets, setunion(local.made_secrets, ["database-password"])))
}

output "connection_budget" {
  description = "Database connections at worst, and how many are allowed."
  value       = { worst = local.connection_budget, allowed = local.connection_limit }
}
