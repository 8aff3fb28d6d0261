"""The server in an event loop that is somebody else's."""

from __future__ import annotations

import asyncio
import signal
import socket

import httpx
import pytest
from web_scene import Scene

from calwatch.errors import StopError
from calwatch.web.serve import listen, serve


def test_it_answers_until_told_to_stop_and_leaves_signals_alone(scene: Scene) -> None:
    async def go() -> None:
        listening = listen("127.0.0.1", 0)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        stop = asyncio.Event()
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        serving = asyncio.create_task(serve(scene.app(), listening, stop))
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{address}/healthz")).json()["healthy"]
            assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
            stop.set()
            await asyncio.wait_for(serving, 20)
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"{address}/healthz")

    asyncio.run(go())


def test_it_can_be_started_again_on_the_same_socket(scene: Scene) -> None:
    async def go() -> None:
        listening = listen("127.0.0.1", 0)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/healthz"
        first = asyncio.create_task(serve(scene.app(), listening, asyncio.Event()))
        async with httpx.AsyncClient() as client:
            await client.get(address)
        first.cancel()
        await asyncio.wait([first])
        stop = asyncio.Event()
        second = asyncio.create_task(serve(scene.app(), listening, stop))
        async with httpx.AsyncClient() as client:
            assert (await client.get(address)).status_code == 200
        stop.set()
        await second

    asyncio.run(go())


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StopError, match=rf"web.port: 127.0.0.1:{port}: Address already in use"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(StopError, match=r"web\.(host|port)"):
        listen(host, 0)
