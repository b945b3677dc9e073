"""Cases in which no server says who wrote a message, and DKIM and DMARC do: who is forged, and who isn't."""

from __future__ import annotations

from tests.unit.tracking.correlate.made_cases import REF, ROOT, SENT, STAFF, THREAD, M, held, joined
from tests.unit.tracking.correlate.signed_mail import PUBLISHED, policy_of, published
from tests.unit.tracking.scene import DOMAIN, Conversation, mail

CUSTOMER = "customer.example.net"
SIGNING, SILENT = published(CUSTOMER), {f"_dmarc.{CUSTOMER}": "timeout"}
STRICT = {"correlation": {"unproven": "hold"}}
INSIDE, OUTSIDE = ({"X_MS_Exchange_Organization_AuthAs": whom} for whom in ("Internal", "Anonymous"))

PROOF_CASES = (
    joined("signed by the author's domain", mail(references=REF), "signed-reference", signed_by=CUSTOMER, dns=SIGNING),
    joined("signed, and its domain has no policy", mail(references=REF), "signed-reference", signed_by=CUSTOMER,
           dns=PUBLISHED),
    joined("signed by the domain above", mail("<anna@post.customer.example.net>", references=REF), "signed-reference",
           before={"T1": Conversation(("anna@post.customer.example.net",))}, signed_by=CUSTOMER, dns=SIGNING),
    joined("signed, where everything has to be proven", mail(references=REF), "signed-reference", signed_by=CUSTOMER,
           dns=SIGNING, settings=STRICT),
    joined("signed, by a token in the subject", mail(subject="{token:T1}"), "subject-token", signed_by=CUSTOMER,
           dns=SIGNING),
    joined("one of ours, signed", mail(f"<carla@{DOMAIN}>", references=REF), "colleague", signed_by=DOMAIN,
           dns=published(DOMAIN)),
    joined("nothing could prove it: its domain has neither key nor policy", mail(references=REF), "signed-reference",
           dns=PUBLISHED),
    joined("nobody wants it proven", mail(references=REF), "signed-reference", dns=SIGNING,
           settings={"correlation": {"unproven": "join"}}),
    held("a stolen reference, From forged, no signature", mail(references=REF), "unproven-sender", dns=SIGNING),
    held("a stolen reference, From forged, the forger's own signature", mail(references=REF), "unproven-sender",
         signed_by="stranger.example.org", dns=SIGNING),
    held("a stolen reference, From forged, a signature of other words", mail(references=REF), "unproven-sender",
         signed_by=CUSTOMER, damage=(b"nothing", b"money"), dns=SIGNING),
    held("a stolen reference, From forged, a signature of another's From",
         mail("Carl <carl@customer.example.net>", references=REF), "unproven-sender", signed_by=CUSTOMER,
         damage=(b"Carl <carl@", b"Anna <anna@"), dns=SIGNING),
    held("a stolen reference, From forged, signed by a key that nobody has published", mail(references=REF),
         "unproven-sender", signed_by=CUSTOMER, dns=policy_of(CUSTOMER)),
    held("a stolen reference, From forged, the policy asks for nothing", mail(references=REF), "unproven-sender",
         dns=policy_of(CUSTOMER, "none")),
    held("a stolen reference, From forged below a domain with a policy", mail("<anna@post.customer.example.net>",
         references=REF), "unproven-sender", before={"T1": Conversation(("anna@post.customer.example.net",))},
         dns=SIGNING),
    held("a stolen reference, From forged, DNS gives no answer", mail(references=REF), "sender-not-looked-up",
         dns=SILENT),
    held("a stolen reference, From forged, no policy, all has to be proven", mail(references=REF), "unproven-sender",
         dns={}, settings=STRICT),
    held("a stolen reference, From forged, servers say nothing, all has to be proven", mail(references=REF),
         "unproven-sender", settings=STRICT),
    held("a known message answered, From forged", mail(in_reply_to=SENT), "unproven-sender", dns=SIGNING),
    held("the Message-ID of a message that is there, From forged", mail(message_id=SENT), "unproven-sender",
         dns=SIGNING),
    held("a stolen token, From forged", mail(subject="{token:T1}"), "unproven-sender", dns=SIGNING),
    held("a stolen token, From forged, everybody may join by one", mail(subject="{token:T1}"), "unproven-sender",
         dns=SIGNING, settings={"correlation": {"join_by_token": "everybody"}}),
    held("a stolen Thread-Index, From forged", mail(thread_index=THREAD), "unproven-sender", dns=SIGNING,
         before={"T1": Conversation(named=(f"thread-index:{ROOT.hex()}",))}),
    held("one of ours by the directory, From forged", mail(f"<bert@{DOMAIN}>", references=REF), "unproven-sender",
         people=(STAFF,), dns=policy_of(DOMAIN)),
    held("a technician, From forged", mail("<tom@contractor.example>", references=REF), "unproven-sender",
         settings={"technicians": {"addresses": ["*@contractor.example"]}}, dns=policy_of("contractor.example")),
    joined("one of ours, by Exchange's word", mail(f"<carla@{DOMAIN}>", references=REF, **INSIDE), "colleague",
           in_exchange=True),
    joined("one of ours by Exchange's word, all has to be proven", mail(f"<bert@{DOMAIN}>", references=REF, **INSIDE),
           "colleague", in_exchange=True, people=(STAFF,), settings=STRICT),
    held("one of ours by the directory, let in by Exchange as anybody",
         mail(f"<bert@{DOMAIN}>", references=REF, **OUTSIDE), "forged-sender", people=(STAFF,), in_exchange=True),
    held("a stranger let in as one of ours", mail(M, references=REF, **INSIDE), in_exchange=True),
    held("one of ours by a field that anybody can write", mail(f"<carla@{DOMAIN}>", references=REF, **INSIDE)),
    held("a stranger who proves who he is", mail(M, references=REF), signed_by="stranger.example.org", dns=PUBLISHED),
)  # fmt: skip
