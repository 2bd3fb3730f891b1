"""From raw counts and images to tables and figures."""
