"""`make eval`: how well the configured model serves as the planner, scored without a judge."""
