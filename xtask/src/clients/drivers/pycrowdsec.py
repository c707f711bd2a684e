"""Asks pycrowdsec's clients what the check wants to know: a line in, a line out.

The arguments are the address of the local API and a key. Questions are `live ADDRESS`,
`stream ADDRESS` and `status`, which tells how a single request was answered.
"""

import json
import sys

import requests
from pycrowdsec.client import QueryClient, StreamClient

url, key = sys.argv[1:]
live = QueryClient(api_key=key, lapi_url=url)
stream = StreamClient(api_key=key, lapi_url=url, interval=1)
started = False


def answer(verb, value):
    global started
    if verb == "status":
        try:
            live.get_decisions_for("192.0.2.1")
            return "200"
        except requests.HTTPError as error:
            return str(error.response.status_code)
    if verb == "live":
        return [decision["type"] for decision in live.get_decisions_for(value) or []]
    if not started:
        stream.run()
        started = True
    return stream.get_action_for(value)


for line in sys.stdin:
    verb, _, value = line.strip().partition(" ")
    try:
        found = answer(verb, value)
    except Exception as error:
        found = {"error": repr(error)}
    print("answer " + json.dumps(found), flush=True)
