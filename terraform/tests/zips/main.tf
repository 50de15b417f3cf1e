# Small packages for plans, so that tests need no `make package`.
terraform {
  required_providers {
    archive = { source = "hashicorp/archive", version = "2.8.1" }
  }
}

locals {
  manifest = yamldecode(file("${path.module}/../../../functions/manifest.yaml"))
  dist     = "${path.module}/dist"
}

data "archive_file" "package" {
  for_each = toset(concat(keys(local.manifest.functions), ["gateway"]))

  type        = "zip"
  output_path = "${local.dist}/${each.value}.zip"

  source {
    filename = "main.py"
    content  = "def ${each.value}(request): return 'ok'\n"
  }
}

output "dist" {
  description = "Folder of the packages, relative to the root module."
  value       = "tests/zips/dist"
  depends_on  = [data.archive_file.package]
}
