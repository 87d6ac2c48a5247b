"""The gateway as people and devices meet it: the real process, real Mosquitto clients, a real browser."""
