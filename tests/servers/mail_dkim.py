"""Mail::DKIM as a verifier of DKIM signatures and ARC chains, asking a DNS server of ours."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SCRIPT = r"""
use strict; use warnings;
use Mail::DKIM::Verifier; use Mail::DKIM::ARC::Verifier; use Mail::DKIM::DNS; use Net::DNS::Resolver;
my ($kind, $port) = @ARGV;
my $resolver = Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $port, recurse => 1, udp_timeout => 5);
Mail::DKIM::DNS::resolver($resolver);
my $verifier = $kind eq 'arc' ? Mail::DKIM::ARC::Verifier->new() : Mail::DKIM::Verifier->new();
binmode STDIN;
while (my $line = <STDIN>) { $verifier->PRINT($line); }
$verifier->CLOSE;
print $verifier->result_detail, "\n";
"""


def missing() -> str:
    """Why Mail::DKIM can't be used here, or ""."""
    if shutil.which("perl") is None:
        return "perl is not installed"
    done = subprocess.run(["perl", "-MMail::DKIM::ARC::Verifier", "-e", "1"], check=False, capture_output=True)
    return "" if done.returncode == 0 else "libmail-dkim-perl is not installed"


def mail_dkim_says(kind: str, content: bytes, dns_address: str) -> str:
    """Its verdict on a message, e.g. `pass` or `fail (body has been altered)`; `kind` is dkim or arc."""
    port = dns_address.rpartition(":")[2]
    command = ["perl", "-e", _SCRIPT, kind, port]
    done = subprocess.run(command, check=True, capture_output=True, input=content, timeout=60)
    return done.stdout.decode().strip()


_SEAL = r"""
use strict; use warnings;
use Mail::DKIM::ARC::Signer; use Mail::DKIM::PrivateKey;
my ($domain, $selector, $key, $chain) = @ARGV;
my $signer = Mail::DKIM::ARC::Signer->new(
    Algorithm => 'rsa-sha256', Domain => $domain, Selector => $selector, SrvId => "mx.$domain", Chain => $chain,
    Key => Mail::DKIM::PrivateKey->load(File => $key),
);
binmode STDIN;
while (my $line = <STDIN>) { $signer->PRINT($line); }
$signer->CLOSE;
print join("\r\n", $signer->as_strings), "\r\n";
"""


def sealed_by_mail_dkim(content: bytes, domain: str, selector: str, key: Path, chain: str) -> bytes:
    """The message with an ARC set on top; it needs an Authentication-Results field of mx.DOMAIN."""
    command = ["perl", "-e", _SEAL, domain, selector, str(key), chain]
    return subprocess.run(command, check=True, capture_output=True, input=content, timeout=60).stdout + content
