"""What the Python clients share: who they are, waiting, and the round that every client goes. No sleeps: it waits for
conditions, with a deadline."""

import asyncio
import json
import os
import urllib.request

BASE = os.environ["BASE_URL"]
ANN = {"id": os.environ["ANN_ID"], "token": os.environ["ANN_TOKEN"]}
BOB = {"id": os.environ["BOB_ID"], "token": os.environ["BOB_TOKEN"]}
DEADLINE = 30
MESSAGE = {
    "_id", "chatId", "clientId", "createdAt", "image", "isDeleted", "isEdited", "reactions", "receiverId", "replyTo",
    "senderId", "seq", "text", "updatedAt",
}


class Line:
    """What a socket has heard, in order. A client fills `events`, and answers `ask`."""

    def __init__(self):
        self.events = []
        self.news = asyncio.Event()

    def hear(self, name, payload, *_cursor):
        self.events.append((name, payload))
        self.news.set()

    def all(self, name):
        return [payload for event, payload in self.events if event == name]

    async def wait(self, name, matches=lambda _: True):
        async def search():
            while True:
                found = [payload for payload in self.all(name) if matches(payload)]
                if found:
                    return found[0]
                self.news.clear()
                await self.news.wait()

        try:
            return await asyncio.wait_for(search(), DEADLINE)
        except asyncio.TimeoutError:
            raise AssertionError(f"waited in vain for {name}; heard {self.events}") from None

    async def do(self, name, payload):
        envelope = await self.ask(name, payload)
        assert set(envelope) == {"success", "data", "message"}, envelope
        assert envelope["success"] is True, envelope
        return envelope["data"]

    async def refused(self, name, payload, code):
        envelope = await self.ask(name, payload)
        assert set(envelope) == {"success", "data", "message"}, envelope
        assert envelope["success"] is False and envelope["data"]["code"] == code, envelope


def history():
    """What HTTP says that was said."""
    request = urllib.request.Request(
        f"{BASE}/api/messages/{BOB['id']}?limit=200",
        headers={"Authorization": f"Bearer {ANN['token']}", "User-Agent": "zoo"},
    )
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        return json.load(response)["data"]


async def round_of(open_line, tag):
    """The round: `open_line(person)` is a coroutine that gives a connected `Line`; `tag` is unique for each round."""
    before = len(history())
    bob = await open_line(BOB)
    assert bob.events[0][0] == "onlineUsers", bob.events
    ann = await open_line(ANN)
    other = await open_line(ANN)
    assert BOB["id"] in (await ann.wait("onlineUsers")), ann.events
    if ANN["id"] not in bob.all("onlineUsers")[0]:
        # Else she was here a moment ago, which is not a departure.
        await bob.wait("presence", lambda who: who["userId"] == ANN["id"] and who["isOnline"])

    text = f"{tag}: über שלום 😀 \t end"
    draft = {"receiverId": BOB["id"], "text": text, "clientId": tag}
    sent = await ann.do("sendMessage", draft)
    assert set(sent) == MESSAGE and sent["text"] == text and sent["seq"] == before + 1, sent
    is_it = lambda message: message["_id"] == sent["_id"]
    assert await bob.wait("sendMessage", is_it) == sent
    assert await other.wait("sendMessage", is_it) == sent
    assert await ann.do("sendMessage", draft) == sent, "a repeat gets the first one again"

    await ann.do("typing", {"receiverId": BOB["id"], "isTyping": True})
    await bob.wait("typing", lambda it: it == {"senderId": ANN["id"], "isTyping": True})
    if before == 1:
        # By itself after 6 s; seen once, in the first round.
        await bob.wait("typing", lambda it: it == {"senderId": ANN["id"], "isTyping": False})

    await ann.refused("sendMessage", {"receiverId": BOB["id"]}, "validation_failed")
    await ann.refused("deleteMessage", {"messageId": BOB["id"]}, "not_found")
    deleted = await ann.do("deleteMessage", {"messageId": sent["_id"]})
    assert deleted["isDeleted"] is True and deleted["text"] is None, deleted
    for line in (ann, bob, other):
        assert await line.wait("deleteMessage", is_it) == deleted
    assert [message for message in ann.all("sendMessage") if is_it(message)] == [], "an answer is not told as well"

    # Away, and back on a connection of its own.
    await bob.close()
    again = await open_line(BOB)
    answer = await again.do("sendMessage", {"receiverId": ANN["id"], "text": f"{tag}: back"})
    assert await ann.wait("sendMessage", lambda message: message["_id"] == answer["_id"]) == answer
    assert history()[before:] == [deleted, answer]
    for line in (ann, other, again):
        await line.close()
