"""Couriers: they carry news of alerts out of the house, each over one kind of channel."""

from gateway.core.notify.post import Post
from gateway.couriers.mail import Mail
from gateway.couriers.ntfy import Ntfy
from gateway.couriers.webhook import Webhook


def employ(post: Post, url: str) -> None:
    """`url` is where people reach the gateway, for links in messages."""
    post.carry("webhook", Webhook(url))
    post.carry("email", Mail(url))
    post.carry("ntfy", Ntfy(url))
