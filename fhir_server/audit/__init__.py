"""The trail: what happened as an AuditEvent, and the durable, chained journal that keeps it."""
