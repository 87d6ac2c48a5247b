"""Every dialect on one registry, spoken by the clients that exist, to a started gateway."""
