"""Small programs, each a usual HTTP client of a language, that send what a test tells them.

One line of standard input is a request: METHOD URL FRAMING BODY [NAME=VALUE ...]. FRAMING is `sized`, `chunked` or
`expect`; BODY is JSON in base64, or `-` for none; the rest are headers. One line of standard output is the response:
{"status": 200, "body": JSON or null} or {"error": "..."}. The program ends with its input.

A program that reads the event stream is given the URL, and the secret in SECRET. It writes a line for each event,
{"id": "1", "type": "message", "data": "..."}, and reconnects with Last-Event-ID when the stream ends.
"""
