"""Every choice there is, section by section, in the order in which the settings page shows them."""

from gateway.core.choices import Choice

CHOICES: tuple[Choice, ...] = (
    Choice(
        "people.sign_up", "People", "Who may ask for an account", "invited",
        hint="With approval: anybody may ask, an admin decides.",
        options=(("invited", "Only who was invited"), ("approval", "Anybody, with approval")),
    ),
    Choice(
        "modules.proof", "Modules", "Approval needs the code that the device shows", False,
        hint="Proof that it is the device in your hand; devices that show no code cannot be approved then.",
    ),
    Choice(
        "history.raw_days", "History", "Keep every reading for", 7, unit="days", low=1, high=3650,
        hint="A type may say otherwise.",
    ),
    Choice(
        "history.five_minutes_days", "History", "Keep 5-minute values for", 90, unit="days", low=2, high=3660
    ),
    Choice("history.hours_days", "History", "Keep hourly values for", 730, unit="days", low=1, high=36500),
    Choice(
        "history.disk_megabytes", "History", "Use at most this much disk", 0, unit="MB", high=100_000_000,
        hint="0: no limit of its own; growth stops before the disk is full in any case.",
    ),
    Choice(
        "alerts.offline_minutes", "Alerts", "A module is missed after", 10, unit="minutes", high=10_080,
        hint="0: never. Groups may have a time of their own, see Channels and rules.",
    ),
    Choice(
        "alerts.disk_megabytes", "Alerts", "The disk is nearly full with less than", 500, unit="MB",
        high=10_000_000, hint="0: never.",
    ),
    Choice(
        "web.hsts", "Encryption", "Tell browsers to come by https only", True,
        hint="For a year, on any port: other services of this host are then reached by https only, too.",
    ),
    Choice(
        "rest.calls_a_minute", "Programs", "Each program may call REST", 1800, unit="times a minute", low=60,
        high=1_000_000, hint="Of each person and service account; a third of it at once.",
    ),
)  # fmt: skip
