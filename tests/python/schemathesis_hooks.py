"""What the description of the API can't tell schemathesis."""

import base64
import json
import os
import re

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.file_samples import MEDIA_TYPE_FILE_SAMPLES

# What tests/tests/openapi.rs made before.
WORLD = json.loads(os.environ["CHAT_TEST_WORLD"])
ID = re.compile("[0-9a-fA-F]{24}")
# The example of an id in the description.
EXAMPLE = "65b2c3d4e5f6a7b8c9d0e1f2"

# No schema says what a picture is.
for media_type, picture in MEDIA_TYPE_FILE_SAMPLES.items():
    schemathesis.openapi.media_type(media_type, st.just(picture))

schemathesis.openapi.format(
    "data-url",
    st.sampled_from(
        [
            f"data:{media_type};base64,{base64.b64encode(picture).decode()}"
            for media_type, picture in MEDIA_TYPE_FILE_SAMPLES.items()
        ]
    ),
)

# A schema counts characters; the limit of bcrypt counts bytes.
schemathesis.openapi.format(
    "password",
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=8).filter(
        lambda text: len(text.encode()) <= 72
    ),
)


# No more than one may use on one message.
EMOJIS = ["👍", "❤️", "😂", "🎉", "👩‍👩‍👧‍👦", "🇨🇭"]
schemathesis.openapi.format("emoji", st.sampled_from(EMOJIS))


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Nobody can guess an id or the name of a picture, so in half of the requests there is one that exists."""
    if not isinstance(path_parameters, dict):
        return path_parameters
    for parameter, value in path_parameters.items():
        known = [WORLD["picture"]] if parameter == "name" else known_ids(context)
        # An id that is wrong on purpose stays as it is.
        is_free = isinstance(value, str) and (parameter == "name" or ID.fullmatch(value)) and value not in known
        number = sum(value.encode(errors="replace")) if is_free else 0
        if number % 2 == 1:
            return {**path_parameters, parameter: known[number // 2 % len(known)]}
    return path_parameters


@schemathesis.hook
def filter_path_parameters(context, path_parameters):
    """Nobody sends to oneself or blocks oneself, and no schema knows who asks."""
    is_to_self = (path_parameters or {}).get("id") in WORLD["askers"]
    return not (is_to_self and operation_id(context) in ("sendMessage", "block"))


@schemathesis.hook
def before_call(context, case, kwargs):
    """What the coverage phase has no other values for: the example of an id is nobody's, and some are refused."""
    for parameters in (case.path_parameters, case.query):
        for name in ("id", "after"):
            if (parameters or {}).get(name) == EXAMPLE:
                parameters[name] = known_ids(context)[0]

    body = case.body if isinstance(case.body, dict) else {}
    for fields in (body, case.query or {}):
        # Of the right length, and none.
        emoji = fields.get("emoji")
        if isinstance(emoji, str) and 1 <= len(emoji) <= 32 and emoji not in EMOJIS:
            fields["emoji"] = EMOJIS[len(emoji) % len(EMOJIS)]
    answered = body.get("replyTo")
    if isinstance(answered, str) and ID.fullmatch(answered):
        # It must be of the same conversation.
        body["replyTo"] = WORLD["kept"].get((case.path_parameters or {}).get("id"))
        if body["replyTo"] is None:
            del body["replyTo"]
    if operation_id(context) == "editMessage" and body.get("text") == "":
        # That is a text only where there is a picture.
        body["text"] = "x"

    for name in ("password", "newPassword"):
        password = case.body.get(name) if isinstance(case.body, dict) else None
        # No schema lists the most common passwords, and "00000000" is one: another one of the same length.
        if isinstance(password, str) and len(set(password)) == 1:
            case.body[name] = ("wx7!kq-2" * len(password))[: len(password)]


def known_ids(context):
    match operation_id(context):
        case "deleteMessage":
            return WORLD["messages"]
        case "editMessage" | "react" | "takeReactionBack":
            return list(WORLD["kept"].values())
        case "block" | "unblock":
            return WORLD["strangers"]
        case _:
            return WORLD["users"]


def operation_id(context):
    return context.operation.definition.raw["operationId"]
