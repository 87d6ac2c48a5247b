"""Words that devices often call their readings by, so that they have a label in every language."""

from web.language import later

KEYS = (
    later("Alarm"), later("Altitude"), later("Battery"), later("Battery level"), later("Brightness"),
    later("Co2"), later("Count"), later("Current"), later("Direction"), later("Distance"), later("Door"),
    later("Duration"), later("Energy"), later("Error"), later("Flow"), later("Frequency"), later("Heap"),
    later("Humidity"), later("Illuminance"), later("Level"), later("Mode"), later("Moisture"),
    later("Motion"), later("On"), later("Open"), later("Playlist"), later("Position"),
    later("Pressure"), later("Rain"), later("Ready"), later("Rssi"), later("Running"), later("Speed"),
    later("State"), later("Temperature"), later("Uptime"), later("Voltage"), later("Volume"),
    later("Weight"), later("Wind direction"), later("Wind speed"),
)  # fmt: skip
