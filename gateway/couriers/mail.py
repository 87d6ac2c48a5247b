"""E-mail over SMTP, on a thread of its own: the server is trusted only with a certificate that holds."""

import asyncio
import logging
import smtplib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import formatdate

from gateway.core.errors import Said
from gateway.core.notify.channel_values import Channel, News, Target
from gateway.core.notify.post import Undelivered
from gateway.couriers.wording import worded

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
MAX_SUBJECT = 180


class Mail:
    """`_threads` starts none before the first mail."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._threads = ThreadPoolExecutor(2, "mail")

    async def send(self, channel: Channel, secret: str, news: News) -> None:
        target = channel.plan.target
        letter = self._letter(channel, news)
        await asyncio.get_running_loop().run_in_executor(self._threads, _deliver, target, secret, letter)

    def _letter(self, channel: Channel, news: News) -> EmailMessage:
        message, target = worded(channel, news), channel.plan.target
        letter = EmailMessage()
        letter["Subject"] = f"[Passerelle] {message.title}"[:MAX_SUBJECT]
        letter["From"] = target.sender
        letter["To"] = ", ".join(target.addresses)
        letter["Date"] = formatdate(news.at_ms / 1000, usegmt=True)
        # The same however often it is sent, so that a mailbox shows it once.
        letter["Message-ID"] = f"<{news.key}@passerelle>"
        letter["Auto-Submitted"] = "auto-generated"
        if message.urgent:
            letter["Importance"] = "high"
        letter.set_content(f"{message.text}\n\n{self._url}/notifications\n")
        return letter


def _deliver(target: Target, password: str, letter: EmailMessage) -> None:
    """Blocks. What the server says is quoted in no fault: it may quote what it was told."""
    try:
        with _connected(target) as server:
            if target.user and password:
                server.login(target.user, password)
            refused = server.send_message(letter)
            if refused:
                # Again would be again for the others, too.
                log.warning("A mail server refused %d of the addresses of a channel.", len(refused))
    except smtplib.SMTPAuthenticationError:
        raise Undelivered(Said("The mail server does not accept the user and the password.")) from None
    except smtplib.SMTPResponseException as error:
        why = Said("The mail server answered %(code)s.", code=error.smtp_code)
        raise Undelivered(why, refused=error.smtp_code >= 500) from None
    except smtplib.SMTPRecipientsRefused:
        raise Undelivered(Said("The mail server refused every address."), refused=True) from None
    except TimeoutError:
        raise Undelivered(Said("The mail server did not answer in time.")) from None
    except ssl.SSLError:
        raise Undelivered(Said("The mail server's certificate is not trusted.")) from None
    except socket.gaierror:
        raise Undelivered(Said("The mail server's name is not known.")) from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        reason = type(error).__name__
        raise Undelivered(Said("The mail server cannot be used (%(reason)s).", reason=reason)) from None


def _connected(target: Target) -> smtplib.SMTP:
    if target.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(target.host, target.port, timeout=TIMEOUT_S, context=context)
    server = smtplib.SMTP(target.host, target.port, timeout=TIMEOUT_S)
    if target.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server
