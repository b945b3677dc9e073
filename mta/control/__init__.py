"""The control socket: how the command line talks to a running supervisor.

A unix socket, mode 0600. One JSON object on one line each way: `{"do": "status"}`, `reload`, `wake`, and `bypass` with
`{"bypass": {"on": …, "until": …}}` or without it to ask. The answer has `"ok"`, and `"error"` where that is false;
`reload` answers its `"problems"`. `{"do": "ask", "companion": NAME, "request": {…}}` is passed on to a process beside
the workers; where none runs, `"runs"` is false in the answer. `server` is the supervisor's side, `client` the command
line's.
"""
