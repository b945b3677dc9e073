"""The replies that never change (RFC 5321 §4.2.3, with enhanced codes by RFC 2034 and RFC 3463), CRLF included."""

from __future__ import annotations

from mta.model.reply import Reply

_REPLY_MAX = 510


def encode(reply: Reply) -> bytes:
    """One line of ASCII with its CRLF, whatever a rule or an exception has put into the text."""
    text = str(reply).replace("\r", " ").replace("\n", " ")
    return text.encode("ascii", "replace")[:_REPLY_MAX] + b"\r\n"


HELP_TEXT = b"214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY STARTTLS HELP\r\n"
READY_FOR_TLS = b"220 2.0.0 Ready to start TLS\r\n"
BYE = b"221 2.0.0 Bye\r\n"
OK = b"250 2.0.0 Ok\r\n"
SENDER_OK = b"250 2.1.0 Sender ok\r\n"
RECIPIENT_OK = b"250 2.1.5 Recipient ok\r\n"
CHUNK_OK = b"250 2.0.0 Chunk received\r\n"
WILL_TRY = b"252 2.5.2 Addresses are not verified; send some mail, I'll try my best\r\n"
GO_AHEAD = b"354 End data with <CR><LF>.<CR><LF>\r\n"
SESSION_FAILED = b"421 4.3.0 Local error in processing\r\n"
CHANGED = b"421 4.3.2 Configuration has changed, connect again\r\n"
SHUTTING_DOWN = b"421 4.3.2 Service is shutting down\r\n"
TIMED_OUT = b"421 4.4.2 Timed out waiting for the client\r\n"
NOT_SMTP = b"421 4.7.0 This is not a command of SMTP\r\n"
TOO_MUCH_JUNK = b"421 4.7.0 Too many commands without a message\r\n"
BUSY = b"421 4.7.0 Too many connections, try again later\r\n"
TOO_MANY_FAILURES = b"421 4.7.0 Too many failed authentications\r\n"
TOO_MANY_ERRORS = b"421 4.7.0 Too many errors\r\n"
TOO_MANY_RECIPIENTS = b"452 4.5.3 Too many recipients\r\n"
UNKNOWN_COMMAND = b"500 5.5.1 Command not recognised\r\n"
BARE_LINE_END = b"500 5.5.2 A command ends with CRLF, and holds no other CR or LF\r\n"
BAD_OCTETS = b"500 5.5.2 Control characters or broken UTF-8 in a command\r\n"
NEEDS_ASCII = b"500 5.5.2 Only addresses may go beyond ASCII\r\n"
LINE_TOO_LONG = b"500 5.5.6 Line too long\r\n"
NEEDS_HOST_NAME = b"501 5.5.4 Syntax: EHLO hostname\r\n"
NEEDS_ADDRESS = b"501 5.5.4 Syntax: VRFY address\r\n"
CHUNK_SYNTAX = b"501 5.5.4 Syntax: BDAT octets [LAST]\r\n"
NO_ARGUMENT = b"501 5.5.4 This command takes no argument\r\n"
NOT_IMPLEMENTED = b"502 5.5.1 Command not implemented\r\n"
NESTED_MAIL = b"503 5.5.1 Nested MAIL command\r\n"
NEEDS_HELO = b"503 5.5.1 Send EHLO first\r\n"
NEEDS_MAIL = b"503 5.5.1 Send MAIL first\r\n"
MESSAGE_HAS_BEGUN = b"503 5.5.1 The message has begun: send BDAT or RSET\r\n"
CHUNK_FAILED = b"503 5.5.1 A chunk of this message failed: send RSET\r\n"
TLS_IS_ON = b"503 5.5.1 TLS is already active\r\n"
FAR_TOO_LARGE = b"552 5.3.4 Message is larger than the limit\r\n"
TOO_MANY_CHUNKS = b"552 5.3.4 Message comes in too many chunks\r\n"
NEEDS_TLS = b"530 5.7.0 Send STARTTLS first\r\n"
NO_RECIPIENTS = b"554 5.5.1 No valid recipients\r\n"
PIPELINED_BEHIND_STARTTLS = b"554 5.5.1 Nothing may follow STARTTLS before the handshake\r\n"
NOT_ALLOWED = b"554 5.7.1 Access denied\r\n"
