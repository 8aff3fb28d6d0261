"""Telling Sasquatch: Avro schemas, records, and the way from the outbox to Kafka."""
