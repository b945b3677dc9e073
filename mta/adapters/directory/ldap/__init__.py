"""Active Directory by LDAP: look-ups in, people out.

Bytes (`ber`, `protocol`), one connection (`connection`), several servers (`servers`), what their entries mean
(`entries`, `groups`), and the directory made of these, behind the cache (`directory`).

The client is our own, as small as look-ups need, and never blocks the event loop. The libraries that there are were
tried: python-ldap and bonsai stand on libldap, which in Debian 12 waits without end for a server that accepts an LDAPS
connection and then says nothing, and neither of them can end that wait; ldap3 has had no release since 2021.
"""
