"""Notices that reach a web server and a mail server.

Apprise knows only Slack's own host. Mattermost's incoming webhooks are shaped like Slack's (a JSON
object with ``text``) and can be anywhere, so they stand for Slack here.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from smtp_sink import SmtpSink
from webhook_sink import WebhookSink

from calwatch.alarms.deliver.channel import Delivery
from calwatch.alarms.deliver.notices import NoticeChannel, notice_channels
from calwatch.alarms.deliver.settings import AppriseSettings
from calwatch.alarms.words import Message
from calwatch.errors import RecordError, WaitError

sys.path.insert(0, str(Path(__file__).parent.parent / "alarms" / "deliver"))

from deliveries import delivery

TOKEN = "abcdefghijklmnopqrstuvwxyz"


def slack(sink: WebhookSink, timeout: float = 30.0) -> NoticeChannel:
    return NoticeChannel("slack", f"mmost://127.0.0.1:{sink.port}/{TOKEN}", timeout)


def send(channel: NoticeChannel, *deliveries: Delivery) -> None:
    async def run() -> None:
        for one in deliveries:
            await channel.send(one)

    asyncio.run(run())


def test_a_notice_is_a_line_and_some_words_on_slack(webhook: WebhookSink) -> None:
    send(slack(webhook), delivery())
    (post,) = webhook.posts
    assert post.path.endswith(TOKEN)
    assert post.content["username"] == "calwatch"
    lines = post.content["text"].splitlines()
    assert "[SERIOUS] raised: R22_S11/C05" in lines[0]
    assert lines[-2:] == ["Noise in R22_S11/C05", "See the playbook."]


def test_a_notice_is_a_letter(smtp: SmtpSink) -> None:
    channel = NoticeChannel("mail", smtp.url(), 30.0)
    send(channel, delivery(), delivery(number=2, repeat=True))
    first, second = smtp.letters
    assert first["Subject"] == "[SERIOUS] raised: R22_S11/C05"
    assert smtp.recipients[0] == ["calibration@example.org"]
    words = first.get_body(("plain", "html"))
    assert words is not None
    assert "See the playbook." in words.get_content()
    again = second.get_body(("plain", "html"))
    assert again is not None
    assert "may be a repeat" in again.get_content()


def test_the_day_is_summed_up_by_mail(smtp: SmtpSink) -> None:
    channel = NoticeChannel("mail", smtp.url(), 30.0)
    asyncio.run(channel.tell(Message("LATISS today: 62 exposures, 3 problems, 1 new", "…", {})))
    assert smtp.letters[0]["Subject"] == "LATISS today: 62 exposures, 3 problems, 1 new"


@pytest.mark.parametrize(("status", "error"), [(500, WaitError), (404, WaitError)])
def test_a_webhook_that_says_no_is_tried_again(
    webhook: WebhookSink, status: int, error: type[Exception]
) -> None:
    channel = slack(webhook)
    webhook.status = status
    with pytest.raises(error, match=f"slack \\(Mattermost\\): .* \\(HTTP {status}\\)") as caught:
        send(channel, delivery())
    assert TOKEN not in str(caught.value)
    webhook.status = 200
    send(channel, delivery())
    assert len(webhook.posts) == 1


def test_a_notice_that_is_malformed_is_not_tried_again(webhook: WebhookSink) -> None:
    webhook.status = 400
    with pytest.raises(RecordError, match="HTTP 400"):
        send(slack(webhook), delivery())


def test_a_webhook_that_is_down_is_waited_for(webhook: WebhookSink) -> None:
    webhook.stop()
    with pytest.raises(WaitError, match=r"slack \(Mattermost\): did not accept the notice"):
        send(slack(webhook), delivery())


def test_a_mail_server_that_refuses_is_waited_for(smtp: SmtpSink) -> None:
    smtp.answer = "451 later"
    channel = NoticeChannel("mail", smtp.url(), 30.0)
    with pytest.raises(WaitError, match="mail "):
        send(channel, delivery())
    smtp.answer = "250 OK"
    send(channel, delivery())
    assert len(smtp.letters) == 1


def test_a_url_that_fails_does_not_make_the_others_hear_it_again(
    webhook: WebhookSink, smtp: SmtpSink
) -> None:
    settings = AppriseSettings(
        type="apprise", urls=[f"mmost://127.0.0.1:{webhook.port}/{TOKEN}", smtp.url()]
    )
    first, second = notice_channels(settings)
    webhook.status = 503
    with pytest.raises(WaitError):
        send(first, delivery())
    send(second, delivery())
    webhook.status = 200
    send(first, delivery())
    assert (len(webhook.posts), len(smtp.letters)) == (1, 1)


def test_a_slow_webhook_hears_it_once(webhook: WebhookSink) -> None:
    channel = slack(webhook, timeout=0.3)
    webhook.go_on.clear()

    async def run() -> None:
        with pytest.raises(WaitError, match="no answer within"):
            await channel.send(delivery())
        webhook.go_on.set()
        channel._timeout = 30.0
        await channel.send(delivery())

    asyncio.run(run())
    assert len(webhook.posts) == 1
