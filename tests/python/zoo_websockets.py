"""The package `websockets` against the WebSocket door: by header and by cookie."""

import asyncio
import itertools
import json

import websockets
from zoo import BASE, DEADLINE, Line, round_of

URL = BASE.replace("http", "ws") + "/ws"


class Socket(Line):
    def __init__(self, connection):
        super().__init__()
        self.connection, self.ids, self.replies = connection, itertools.count(1), {}
        self.listening = asyncio.create_task(self.listen())

    async def listen(self):
        async for text in self.connection:
            frame = json.loads(text)
            if "reply" in frame:
                self.replies.pop(frame.pop("reply")).set_result(frame)
            else:
                self.hear(frame["event"], frame["data"])

    async def ask(self, name, payload):
        number = next(self.ids)
        self.replies[number] = asyncio.get_running_loop().create_future()
        await self.connection.send(json.dumps({"event": name, "data": payload, "id": number}))
        return await asyncio.wait_for(self.replies[number], DEADLINE)

    async def close(self):
        await self.connection.close()
        await self.listening


def sign_in(token, auth):
    return {"Authorization": f"Bearer {token}"} if auth == "header" else {"Cookie": f"jwt={token}"}


async def main():
    for auth in ["header", "cookie"]:
        for wrong in ["", "x.y.z"]:
            try:
                await websockets.connect(URL, additional_headers=sign_in(wrong, auth), proxy=None)
                raise AssertionError("it was let in")
            except websockets.InvalidStatus as refusal:
                assert refusal.response.status_code == 401, refusal
                envelope = json.loads(refusal.response.body)
                assert envelope["data"] == {"code": "unauthenticated"}, envelope

        async def open_line(person):
            headers = sign_in(person["token"], auth)
            connection = await websockets.connect(
                URL, subprotocols=["chat.v1.json"], additional_headers=headers, proxy=None
            )
            assert connection.subprotocol == "chat.v1.json"
            socket = Socket(connection)
            await socket.wait("onlineUsers")
            return socket

        await round_of(open_line, f"websockets {auth}")
        print(f"ok: {auth}")


asyncio.run(main())
