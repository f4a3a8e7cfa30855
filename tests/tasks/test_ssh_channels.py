"""Channels of an SSH connection, with a server that closes them when it pleases."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from registry.groups import SshSettings
from tasks.budget import Budget
from tasks.ssh.channels import Channels
from tasks.streams import StreamBroken
from tasks.vantages.local import LocalVantage
from tasks.vantages.ssh.hop import Hop
from tests.tasks.ssh_server import HangsUp, serving


async def test_nothing_is_said_on_a_channel_that_has_been_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Dropbear ends the connection, and with it every other check, over a message to a channel that is gone."""
    caplog.set_level(logging.DEBUG, "headwater.ssh")
    (tmp_path / "password").write_text("any")
    with serving(HangsUp()) as (port, host_key):
        place = {"host": "127.0.0.1", "port": port, "host_key": host_key}
        login = {"username": "probe", "password": f"file:{tmp_path / 'password'}"}
        settings = SshSettings.model_validate({**place, **login})
        hop = Hop("vpc1", settings, LocalVantage("vpc1"), role="SSH host", seconds=10, keepalive=15, most=10)
        channels = await hop.channels(Budget.of(10))
        await _ask_too_late(channels)
        await _ask_too_late(channels)  # what came before has been read when the server answers this
        assert not channels.lost.is_set()
        await hop.close()
    assert "dead channel" not in caplog.text, caplog.text


async def _ask_too_late(channels: Channels) -> None:
    budget = Budget.of(10)
    channel = await channels.open("session", budget=budget, conversation=budget)
    await channel.closed()
    with pytest.raises(StreamBroken) as broken:
        await channel.request("exec", b"/bin/sh -s")
    assert broken.value.kind == "eof"
    with pytest.raises(StreamBroken):
        await channel.send(b"exit\n")
    channel.finish()
    channel.close()
