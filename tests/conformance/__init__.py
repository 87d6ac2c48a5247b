"""MQTT 3.1.1 conformance: written from the standard, run against Mosquitto and against our own broker."""
