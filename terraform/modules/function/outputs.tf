output "name" {
  description = "Name of the function and of its Cloud Run service."
  value       = var.name
}

output "uri" {
  description = "Its own URL."
  value       = local.uri
}

output "member" {
  description = "Its identity, as IAM names it."
  value       = google_service_account.family.member
}

output "invokers" {
  description = "Who may call it, but for everybody where it is public."
  value       = toset([for binding in google_cloud_run_v2_service_iam_member.invokes : binding.member])
}

output "access" {
  description = "public or private, as its label says."
  value       = var.cpu_always ? one(google_cloud_run_v2_service.this[*].labels.access) : one(google_cloudfunctions2_function.this[*].labels.access)
}

output "readable_secrets" {
  description = "Ids of the secrets it may read."
  value       = toset([for grant in google_secret_manager_secret_iam_member.reads : grant.secret_id])
}

output "ingress" {
  description = "Where requests may come from."
  value       = var.cpu_always ? one(google_cloud_run_v2_service.this[*].ingress) : one(google_cloudfunctions2_function.this[*].service_config[0].ingress_settings)
}
