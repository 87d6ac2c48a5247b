"""How the gateway was told to behave: by its environment, and by admins, who change it here."""

from typing import Any

from pydantic import BaseModel, Field, RootModel

from gateway.core.choices import Choice
from gateway.core.errors import Invalid
from web.access import Access
from web.api.house import TAG
from web.api.table import Call, Operation

# What may be read of the environment; the rest are secrets, or addresses that may hold some.
SHOWN_SETTINGS = {
    "http_host", "http_port", "mqtt_host", "mqtt_port", "public_url", "topic_root", "join", "pending_ttl",
    "pending_max", "rate_limits", "log_format", "compat", "reconcile_every", "probation", "update_retry",
    "time_zone",
}  # fmt: skip


class ChoiceOption(BaseModel):
    value: str
    label: str


class ChoiceOut(BaseModel):
    """`value` is null for a secret; `is_set` tells whether it has one."""

    name: str
    group: str
    label: str
    hint: str
    value: bool | int | str | None
    default: bool | int | str | None
    is_set: bool = Field(description="Whether somebody chose it")
    unit: str
    low: int | None = Field(description="Of numbers")
    high: int | None = Field(description="Of numbers")
    options: list[ChoiceOption] = Field(description="Of texts that are one of a few")
    secret: bool


class SettingsOut(BaseModel):
    """Secrets, and addresses of other systems, are not shown."""

    settings: dict[str, Any] = Field(description="Of the environment; they change with a restart")
    choices: list[ChoiceOut] = Field(description="What an admin changes while the gateway runs")


class SettingsPatch(RootModel[dict[str, bool | int | str]]):
    """Names of choices with their new values: all are taken, or none."""

    model_config = {"json_schema_extra": {"maxProperties": 100}}


def _choice(call: Call, choice: Choice) -> dict[str, Any]:
    value = call.visit.site.core.choices[choice.name]
    is_number = isinstance(choice.default, int) and not isinstance(choice.default, bool)
    return {
        "name": choice.name, "group": choice.group, "label": choice.label, "hint": choice.hint,
        "value": None if choice.secret else value, "default": None if choice.secret else choice.default,
        "is_set": value != choice.default, "unit": choice.unit,
        "low": choice.low if is_number else None, "high": choice.high if is_number else None,
        "options": [{"value": value, "label": label} for value, label in choice.options],
        "secret": choice.secret,
    }  # fmt: skip


async def get(call: Call) -> Any:
    core = call.visit.site.core
    return {
        "settings": core.settings.model_dump(mode="json", include=SHOWN_SETTINGS),
        "choices": [_choice(call, choice) for choice in core.choices.declared()],
    }


async def change(call: Call) -> Any:
    if not call.body.root:
        raise Invalid("Nothing to change was sent; send names of choices with their values.")
    await call.visit.site.core.choices.set(call.body.root, call.visit.person)
    return await get(call)


OPERATIONS = [
    Operation("GET", "/settings", get, Access.ADMINISTER, "How the gateway was told to behave", TAG,
              reply=SettingsOut),
    Operation("PATCH", "/settings", change, Access.ADMINISTER, "Change some choices, all or none", TAG,
              reply=SettingsOut, body=SettingsPatch, errors=(404,)),
]  # fmt: skip
