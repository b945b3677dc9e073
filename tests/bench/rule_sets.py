"""Rule sets of the measurements."""

from __future__ import annotations

EIGHT = r"""
rules:
  - name: refuse-loops-of-autoreplies
    when: {all: [{kind: [auto-reply]}, {recipient: {address: 'noreply@*'}}]}
    actions: [{reject: {text: No automatic replies here}}]
  - name: keep-as-it-is
    when: {header: {name: X-Keep, present: true}}
    actions: [{remove-header: {name: X-Keep}}]
    on_match: stop
  - name: tag-inbound
    direction: inbound
    actions: [{tag-subject: {text: '[EXTERNAL]'}}]
  - name: board
    when: {all: [{sender: {group: Board}}, {recipient: {scope: external}}]}
    actions: [{set-header: {name: X-Board, value: 'yes'}}]
  - name: large-to-partner
    when: {all: [{size: {over: 20MB}}, {recipient: {domain: partner.example}}]}
    actions: [{hold: {reason: large}}]
  - name: legal-disclaimer
    direction: outbound
    when: {any: [{sender: {group: Legal}}, {subject: {phrase: confidential}}]}
    actions: [{set-header: {name: Sensitivity, value: Company-Confidential}}]
  - name: signature
    direction: outbound
    when: {all: [{sender: {group: Sales}}, {recipient: {scope: external}}]}
    unless: [{subject: {regex: ['(?i)\[no ?sig\]', '(?i)\bnewsletter\b']}}]
    actions:
      - stamp: {template: sales, place: reply}
      - set-header: {name: X-Department, value: '{{ sender.department }}'}
  - name: internal-tag
    direction: internal
    actions: [{set-header: {name: X-Internal, value: 'yes'}}]
"""

_TWELVE = r"""
  - name: no-programs
    when: {attachments: {extension: [exe, js, vbs, scr, bat, cmd, ps1]}}
    actions: [{hold: {reason: program}}]
  - name: payment-words
    direction: outbound
    when: {all: [{body: {keywords: ['wire transfer', 'IBAN', 'bank account*']}}, {sender: {group: Board}}]}
    actions: [{set-header: {name: X-Payment, value: 'yes'}}]
  - name: card-numbers
    direction: outbound
    when: {body: {regex: '\b4[0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}\b'}}
    actions: [{hold: {reason: card number}}]
  - name: gone-people
    when: {sender: {disabled: true}}
    actions: [{reject: {text: This account is closed}}]
  - name: by-title
    when: {sender: {attribute: {name: title, matches: '(?i)director|chief'}}}
    actions: [{set-header: {name: X-Management, value: 'yes'}}]
  - name: newsletters
    when: {header: {name: List-Id, present: true}}
    actions: [{set-header: {name: X-List, value: 'yes'}}]
  - name: many-recipients
    when: {recipient: {every: {scope: external}}, size: {over: 5MB}}
    actions: [{set-header: {name: X-Bulk, value: 'yes'}}]
  - name: subject-tags
    when: {subject: {keywords: [urgent, dringend, asap, sofort, immediately]}}
    actions: [{set-header: {name: X-Urgent, value: 'yes'}}]
  - name: invoices
    when: {all: [{subject: {regex: '(?i)\b(invoice|rechnung)\s*[0-9]{4,}'}}, {attachments: {name: '*.pdf'}}]}
    actions: [{set-header: {name: X-Invoice, value: 'yes'}}]
  - name: christmas
    active: {from: 2026-12-01, until: 2026-12-31, timezone: Europe/Berlin}
    direction: outbound
    actions: [{set-header: {name: X-Season, value: 'yes'}}]
  - name: partners
    when: {recipient: {domain: ['partner.example', '*.partner.example', 'ally.example']}}
    actions: [{set-header: {name: X-Partner, value: 'yes'}}]
  - name: replies
    when: {all: [{kind: [reply, forward]}, {recipient: {role: [to]}}, {sender: {domain: example.com}}]}
    actions: [{set-header: {name: X-Conversation, value: 'yes'}}]
"""
TWENTY = EIGHT + _TWELVE
"""As an organisation of some hundred people may have it; two of them read the body."""
RULE_SETS = {8: EIGHT, 20: TWENTY}
