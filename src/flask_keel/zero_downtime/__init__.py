"""Plain operations of a migration in forms for which nobody waits, where ``ZERO_DOWNTIME`` is on."""
