"""The one file to edit. Everything but the Wi-Fi and the gateway's address may stay as it is."""

WIFI_SSID = ""  # empty: the network is somebody else's business (Ethernet, MicroPython on a PC)
WIFI_PASSWORD = ""

GATEWAY_HOST = "192.168.1.10"
GATEWAY_PORT = 1883
TLS = False  # True: usually port 8883
TLS_CA = ""  # a file on the board: the authority's certificate (DER); empty: talks to whoever answers

# 0 LED strip, 1 station, 2 switch track, 3 light, 4 launch track, 5 smoke machine, 6 audio player, 7 generic
TYPE = 7
SERIAL = ""  # A-Z a-z 0-9 _ - (up to 64); empty: made from the chip's own number
NAME = ""  # what people see first; they can change it later
LOCATION = ""
FIRMWARE = ""  # the serial of what is installed, such as "probe-1.4.1"; updates know their own
HARDWARE = ""  # such as "esp32-s3" or "board-rev2"; empty: the chip's family
UPDATE_KEY = ""  # Ed25519 public key (base64): only images that its owner has signed are installed
UPDATE_PROBATION_S = 60  # a new program is kept after this long with the gateway
UPDATE_DEADLINE_S = 300  # and the old one comes back when that does not begin in this time
UPDATE_WATCHDOG_S = 60  # or when it hangs for this long
SHARED_KEY = ""  # only when the module was declared beforehand in the gateway

TOPIC_ROOT = "gw/1"
KEEPALIVE_S = 30  # a silent connection is given up after this long
QUEUE = 32  # messages kept during an outage
