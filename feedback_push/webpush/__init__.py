"""Web Push, the protocol alone: encrypt, sign and send many messages at once (RFC 8030, 8291 and 8292).

It needs no web framework, database or settings file::

    from queue import SimpleQueue
    from feedback_push.webpush import vapid
    from feedback_push.webpush.gateway import Config, Gateway, Push

    keys = vapid.generate()  # store them: a browser that subscribed with keys.public_key needs them for ever
    gateway = Gateway(Config(subject="mailto:owner@example.org"), [keys])
    message = '{"web_push": 8030, "notification": {"title": "Hello", "navigate": "https://example.org/"}}'
    push = Push(subscription["endpoint"], **subscription["keys"], vapid_public_key=keys.public_key, payload=message)
    gateway.send([("Ada's phone", push)], results := SimpleQueue())
    result = results.get()  # result.key is "Ada's phone"; result.error is None, or says what to do: responses.Gone, …

Read the modules in this order: `gateway` (one push from start to end), `vapid` (who we are), `endpoints` (whom we talk
to), `transport` (HTTP), `responses` (what an answer means) and `concurrency` (how many requests at a time).
"""
