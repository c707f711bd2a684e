"""What every answer of the local API must be, beside what its description says."""

import re

import schemathesis

# A 500 is about the request, never about the server: these are the ways to say so.
ABOUT_THE_REQUEST = re.compile(
    r"(?:: invalid filter"
    r"|: invalid ip address / range"
    r"|: unable to parse type"
    r"|doesn't exist: unable to delete"
    r"|^ent: alert not found"
    r"|^allowlist '.*' not found"
    r"|^validation failure list:\n.*)$",
    re.DOTALL,
)


@schemathesis.check
def refusals_blame_the_request(ctx, response, case):
    if response.status_code < 500 or case.method.upper() == "HEAD":
        return
    message = response.json().get("message", "")
    if response.status_code != 500 or not ABOUT_THE_REQUEST.search(message):
        raise AssertionError(f"{response.status_code} blames the server: {message!r}")


@schemathesis.check
def refusals_are_json(ctx, response, case):
    if response.status_code in (404, 405) or response.status_code < 400:
        return
    if case.method.upper() == "HEAD":
        return
    if set(response.json()) - {"code", "message"} or not response.json()["message"]:
        raise AssertionError(f"no refusal: {response.text!r}")
