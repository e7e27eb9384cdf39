#!/usr/bin/python3
"""dnsd.py [--log F] ADDR PORT ZONEFILE
A small authoritative DNS server for tests on UDP and TCP, with Debian's python3-dnspython. ZONEFILE has lines
NAME TTL TYPE RDATA with absolute names and is read again on SIGHUP. Some names fail on purpose:
  *.servfail.test  *.refused.test  *.formerr.test   that code     *.timeout.test   no answer
  *.flaky.test     every other query unanswered                   *.trunc.test     truncated on UDP, whole on TCP
  *.slowN.test     A 127.0.0.1 after N milliseconds"""
import os, signal, socket, struct, sys, threading, time
import dns.flags, dns.message, dns.name, dns.rcode, dns.rdata, dns.rdataclass, dns.rdatatype, dns.rrset

args, log = sys.argv[1:], None
if args[:1] == ['--log']:
    log = open(args[1], 'a', buffering=1)
    args = args[2:]
if len(args) != 3:
    sys.exit(__doc__)
addr, port, zonefile = args[0], int(args[1]), args[2]
A, CNAME, SOA, ANY = dns.rdatatype.A, dns.rdatatype.CNAME, dns.rdatatype.SOA, dns.rdatatype.ANY
CODES = {'servfail': dns.rcode.SERVFAIL, 'refused': dns.rcode.REFUSED, 'formerr': dns.rcode.FORMERR}
zone, names, count = {}, set(), 0


def load(*_):
    global zone, names
    records, known = {}, set()
    for line in open(zonefile):
        line = line.strip()
        if not line or line[0] in '#;':
            continue
        name, ttl, kind, rdata = line.split(None, 3)
        name, kind = dns.name.from_text(name), dns.rdatatype.from_text(kind)
        rrset = records.setdefault((name, kind), dns.rrset.RRset(name, dns.rdataclass.IN, kind))
        rrset.add(dns.rdata.from_text(dns.rdataclass.IN, kind, rdata), int(ttl))
        while name != dns.name.root:
            known.add(name)
            name = name.parent()
        known.add(name)
    zone, names = records, known


def fill(response, name, kind):
    for _ in range(9):
        found = [v for (n, _), v in zone.items() if n == name] if kind == ANY else [zone[name, kind]] if (name, kind) in zone else []
        if found:
            response.answer += found
            return
        if (name, CNAME) not in zone:
            break
        response.answer.append(zone[name, CNAME])
        name = zone[name, CNAME][0].target
    if name not in names:
        response.set_rcode(dns.rcode.NXDOMAIN)
    if (dns.name.root, SOA) in zone:
        response.authority.append(zone[dns.name.root, SOA])


def answer(wire, tcp):
    global count
    query = dns.message.from_wire(wire)
    question = query.question[0]
    name = dns.name.from_text(question.name.to_text().lower())
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA | dns.flags.RA
    count += 1
    if log:
        log.write('%.3f %s %s %s\n' % (time.time(), 'tcp' if tcp else 'udp', name, dns.rdatatype.to_text(question.rdtype)))
    labels = [x.decode('latin1') for x in name.labels]
    mode = labels[-3] if len(labels) >= 3 and labels[-2] == 'test' else ''
    if mode in CODES:
        response.set_rcode(CODES[mode])
    elif mode == 'timeout' or (mode == 'flaky' and count % 2):
        return None
    elif mode == 'trunc' and not tcp:
        response.flags |= dns.flags.TC
    elif mode:
        if mode.startswith('slow') and mode[4:].isdigit():
            time.sleep(int(mode[4:]) / 1000)
        if question.rdtype == A:
            response.answer.append(dns.rrset.from_text(question.name, 1, 'IN', 'A', '127.0.0.1'))
    else:
        fill(response, name, question.rdtype)
    wire = response.to_wire(max_size=65535)
    if not tcp and len(wire) > max(query.payload or 0, 512):
        response.answer, response.authority = [], []
        response.flags |= dns.flags.TC
        wire = response.to_wire()
    return wire


def on_udp(wire, peer):
    try:
        out = answer(wire, False)
        if out:
            udp.sendto(out, peer)
    except Exception as e:
        print('udp: %r' % e, file=sys.stderr)


def on_tcp(s):
    stream = s.makefile('rb')
    try:
        while True:
            head = stream.read(2)
            if len(head) < 2:
                break
            out = answer(stream.read(struct.unpack('>H', head)[0]), True)
            if out:
                s.sendall(struct.pack('>H', len(out)) + out)
    except Exception as e:
        print('tcp: %r' % e, file=sys.stderr)
    finally:
        s.close()


def accept():
    while True:
        threading.Thread(target=on_tcp, args=(tcp.accept()[0],), daemon=True).start()


load()
signal.signal(signal.SIGHUP, load)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
family = socket.AF_INET6 if ':' in addr else socket.AF_INET
udp = socket.socket(family, socket.SOCK_DGRAM)
udp.bind((addr, port))
tcp = socket.socket(family)
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind((addr, port))
tcp.listen(64)
threading.Thread(target=accept, daemon=True).start()
while True:
    threading.Thread(target=on_udp, args=udp.recvfrom(65535), daemon=True).start()
