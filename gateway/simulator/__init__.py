"""Simulated devices: real MQTT connections, made-up readings; the same seed makes the same day again."""
