"""python-socketio against the Socket.IO door: each transport, and each way to sign in."""

import asyncio

import socketio
from zoo import BASE, DEADLINE, Line, round_of


class Socket(Line):
    def __init__(self):
        super().__init__()
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("*", self.hear)

    async def ask(self, name, payload):
        return await self.client.call(name, payload, timeout=DEADLINE)

    async def close(self):
        await self.client.disconnect()


async def open_socket(token, transports, auth):
    socket = Socket()
    refusals = []
    socket.client.on("connect_error", refusals.append)
    options = {"auth": {"token": token}} if auth == "token" else {"headers": {"Cookie": f"jwt={token}"}}
    try:
        await socket.client.connect(BASE, transports=transports, wait_timeout=DEADLINE, **options)
    except socketio.exceptions.ConnectionError:
        return None, refusals
    await socket.wait("onlineUsers")
    return socket, refusals


async def main():
    for name, transports in [
        ("websocket", ["websocket"]), ("polling", ["polling"]), ("upgrade", ["polling", "websocket"]),
    ]:
        for auth in ["cookie", "token"]:
            for wrong in ["", "x.y.z"]:
                socket, refusals = await open_socket(wrong, transports, auth)
                assert socket is None, "it was let in"
                assert refusals[0]["data"] == {"code": "unauthenticated"} and refusals[0]["message"], refusals

            async def open_line(person):
                socket, refusals = await open_socket(person["token"], transports, auth)
                assert socket, refusals
                return socket

            await round_of(open_line, f"python-socketio {name} {auth}")
            print(f"ok: {name} {auth}")


asyncio.run(main())
