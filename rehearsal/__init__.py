"""Production on this machine: Terraform's plan, its load balancer, and its functions in processes of their own."""
