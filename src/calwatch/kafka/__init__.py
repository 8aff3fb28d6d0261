"""What both ends of Kafka need: the connection, the wire format, the schema registry."""
