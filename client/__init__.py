"""The other ends of the wire: the app as the demo and the tests play it, and the model that the planner asks."""
