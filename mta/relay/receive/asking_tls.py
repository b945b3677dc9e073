"""TLS that asks clients for certificates and doesn't insist, by pyOpenSSL, in the clothes of the standard library's.

The standard library ends the handshake of a client whose certificate it can't verify, and OpenSSL's clients send what
they have to whoever asks: a listener that asks would shut out strangers with certificates of their own making.
pyOpenSSL tells of a bad chain and goes on. `wrap_bio` is all that asyncio and uvloop use of a context.
"""

from __future__ import annotations

import ctypes
import errno
import ssl
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

from mta.relay.receive.certificate_names import is_for_tls, names_of

_READ_OCTETS = 65_536
_CHAIN_MAX = 10
_VERIFIED = 0  # X509_V_OK; also where no certificate was shown


class AskingContext(ssl.SSLContext):
    """Makes `AskingTls` for the event loop. What the standard library's own part has loaded is only checked by it."""

    def ask(self, certificate: Path, key: Path, client_ca_file: Path | None) -> None:
        """Load the same once more, with whose certificates count. Raises ssl.SSLError."""
        asking = SSL.Context(SSL.TLS_SERVER_METHOD)
        asking.set_min_proto_version(SSL.TLS1_2_VERSION)
        # A resumed session would bring an earlier judgement along: each client shows its certificate anew.
        asking.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        asking.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
        try:
            asking.use_certificate_chain_file(str(certificate))
            asking.use_privatekey_file(str(key))
            if client_ca_file is not None:
                asking.load_verify_locations(str(client_ca_file))
            else:
                # As the standard library finds them, whichever OpenSSL pyOpenSSL has with it.
                system = ssl.get_default_verify_paths()
                if system.cafile or system.capath:
                    asking.load_verify_locations(system.cafile, system.capath)
        except SSL.Error as exc:
            raise ssl.SSLError(_reason(exc)) from exc
        _verify_and_go_on(asking)
        asking.set_verify_depth(_CHAIN_MAX)
        self._asking = asking

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *_: object, **__: object) -> Any:
        return AskingTls(self._asking, incoming, outgoing)


def _verify_and_go_on(context: SSL.Context) -> None:
    """Have OpenSSL verify what clients show, dates too, and note the outcome instead of ending there.

    What the certificate is for, `is_for_tls` judges: OpenSSL would insist on clientAuth.

    pyOpenSSL's own way to a callback needs memory that is writable and executable, which a hardened service is denied
    (MemoryDenyWriteExecute); that of ctypes does not, with libffi 3.4. Raises OSError where that is older.
    """
    try:
        callback = _go_on()
    except MemoryError as exc:
        text = "client certificates can't be asked for: libffi is too old for MemoryDenyWriteExecute"
        raise OSError(errno.EPERM, text) from exc
    address = ctypes.cast(callback, ctypes.c_void_p).value
    pointer = ffi.cast("int (*)(int, X509_STORE_CTX *)", address)
    lib.SSL_CTX_set_verify(context._context, SSL.VERIFY_PEER, pointer)
    store = context.get_cert_store()
    assert store is not None
    lib.X509_STORE_set_purpose(store._store, lib.X509_PURPOSE_ANY)


@cache  # it has to live as long as any context
def _go_on() -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)(lambda _is_good, _store: 1)


class AskingTls:
    """One connection's TLS in memory, with the interface of `ssl.SSLObject` as far as event loops use it."""

    def __init__(self, context: SSL.Context, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._is_drained = True
        self._connection = SSL.Connection(context, None)
        self._connection.set_accept_state()

    def verified_names(self) -> tuple[str, ...]:
        """The names in the client's certificate; () where it has shown none, or none that is valid."""
        if lib.SSL_get_verify_result(self._connection._ssl) != _VERIFIED:
            return ()
        try:
            certificate = self._connection.get_peer_certificate(as_cryptography=True)
            return names_of(certificate) if certificate is not None and is_for_tls(certificate) else ()
        except ValueError:  # OpenSSL reads some that the stricter reader refuses
            return ()

    def do_handshake(self) -> None:
        self._pass_in()
        self._is_drained = False  # what came with the last of it
        try:
            self._connection.do_handshake()
        except SSL.Error as exc:
            self._raise(exc)
        finally:
            self._pass_out()

    def read(self, length: int = _READ_OCTETS, buffer: Any = None) -> Any:
        """Bytes, or how many were put into the buffer; nothing at the end.

        All that can be had up to `length`: uvloop asks again only while `pending` says that there is more.
        """
        self._pass_in()
        pieces, left = [], length
        try:
            while left and (piece := self._connection.recv(left)):
                pieces.append(piece)
                left -= len(piece)
            self._is_drained = False
        except SSL.ZeroReturnError:
            self._is_drained = False  # that the end has come is for the next time
        except SSL.Error as exc:
            self._is_drained = True
            if not pieces:
                self._raise(exc)
        finally:
            self._pass_out()
        data = b"".join(pieces)
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        try:
            return int(self._connection.send(bytes(data)))
        except SSL.Error as exc:
            self._raise(exc)
        finally:
            self._pass_out()

    def unwrap(self) -> None:
        self._pass_in()
        try:
            if not self._connection.shutdown():
                raise ssl.SSLWantReadError
        except SSL.Error as exc:
            self._raise(exc)
        finally:
            self._pass_out()

    def pending(self) -> int:
        """More than 0 where a read may give something."""
        return 0 if self._is_drained else max(1, self._connection.pending())

    def version(self) -> str:
        return self._connection.get_protocol_version_name()

    def cipher(self) -> tuple[str | None, str | None, int | None]:
        connection = self._connection
        return connection.get_cipher_name(), connection.get_cipher_version(), connection.get_cipher_bits()

    def compression(self) -> None:
        return None

    def getpeercert(self, binary_form: bool = False) -> dict[str, Any]:
        """As for a context that verifies nothing; `verified_names` is what counts."""
        return {}

    def _pass_in(self) -> None:
        if self._incoming.pending:
            data = self._incoming.read()
            while data:
                data = data[self._connection.bio_write(data) :]
        elif self._incoming.eof:
            self._connection.bio_shutdown()

    def _pass_out(self) -> None:
        while True:
            try:
                self._outgoing.write(self._connection.bio_read(_READ_OCTETS))
            except SSL.Error:  # nothing more
                return

    def _raise(self, error: SSL.Error) -> NoReturn:
        """As the standard library says it."""
        if isinstance(error, SSL.WantReadError):
            raise ssl.SSLWantReadError from error
        if isinstance(error, SSL.SysCallError | SSL.ZeroReturnError):
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the client has gone") from error
        failure = ssl.SSLError(1, _reason(error))
        failure.reason = _reason(error)
        raise failure from error


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words, or the exception's name where there are none."""
    if error.args and isinstance(error.args[0], list) and error.args[0]:
        return str(error.args[0][0][-1])
    return str(error) or type(error).__name__
