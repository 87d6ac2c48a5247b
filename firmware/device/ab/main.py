"""On a board with two slots this is the root's main.py; the program itself is a/main.py or b/main.py."""

import slots

slots.start()
