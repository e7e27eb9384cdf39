#!/usr/bin/python3
"""rawmilter.py [--log F] LISTEN [JSON | @file.json]
A scripted milter without libmilter, for well- and ill-behaved answers, as a process of its own.
LISTEN is inet:HOST:PORT or unix:/path. Keys of the JSON, all optional:
  "version": 6     the version answered           "actions": 511   ANDed with what the MTA offers
  "protocol": 0    ANDed with the offer           "symlist": {"0": "j {client_addr}"}   macro lists, by stage number
  "optneg": STEPS  in place of the whole answer to the negotiation
  "on": {"C"|"H"|"M"|"R"|"T"|"L"|"N"|"B"|"E"|"U"|"A"|"D": STEPS or [{"if": substring of the argument, "do": STEPS}, ...]}
A stage not listed answers CONTINUE (nothing where no-reply was agreed, and never to D, A, K, Q).
STEPS is a list of: "c" (any one-letter answer) | ["y","550 5.7.1 no"] | ["h",name,value] | ["i",index,name,value]
  | ["m",index,name,value] | ["+",addr] | ["2",addr,args] | ["-",addr] | ["e",addr,args] | ["q",reason] | ["b",text]
  | ["B64K",n] (n body chunks of 65535) | ["sleep",sec] | ["progress",n,every] | ["raw",hex] | ["drip",hex,ms] | ["close"]
  | ["rst"] | ["hang"]"""
import json, os, signal, socket, struct, sys, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from milterproto import Splitter, describe, listen, packet, strings

NR = {'C': 0x1000, 'H': 0x2000, 'M': 0x4000, 'R': 0x8000, 'T': 0x10000, 'U': 0x20000, 'N': 0x40000, 'B': 0x80000, 'L': 0x80}
CHUNK = (b'0123456789' * 7 + b'\r\n') * 910 + b'x' * 15
ALONE = ('sleep', 'progress', 'drip', 'close', 'rst', 'hang')


class Raw:
    def __init__(self, spec, script, log):
        self.listener, self.script, self.log, self.count = listen(spec), script, log, 0

    def serve(self):
        while True:
            s, _ = self.listener.accept()
            if s.family != socket.AF_UNIX:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.count += 1
            threading.Thread(target=self.connection, args=(s, self.count), daemon=True).start()

    def say(self, n, text):
        if self.log:
            self.log.write('%.3f r%d %s\n' % (time.time(), n, text))

    def steps(self, s, steps):
        out = b''
        for step in steps:
            kind, a = (step, []) if isinstance(step, str) else (step[0], step[1:])
            if kind in ALONE and out:
                s.sendall(out)
                out = b''
            if kind == 'sleep':
                time.sleep(a[0])
            elif kind == 'progress':
                for _ in range(a[0]):
                    time.sleep(a[1])
                    s.sendall(packet('p'))
            elif kind == 'drip':
                for b in bytes.fromhex(a[0]):
                    s.sendall(bytes([b]))
                    time.sleep(a[1] / 1000)
            elif kind == 'close':
                raise EOFError
            elif kind == 'rst':
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                raise EOFError
            elif kind == 'hang':
                time.sleep(3600)
            elif kind == 'raw':
                out += bytes.fromhex(a[0])
            elif kind == 'B64K':
                out += packet('b', CHUNK) * a[0]
            elif kind == 'b' and a:
                out += packet('b', a[0].encode())
            elif kind in ('i', 'm'):
                out += packet(kind, struct.pack('>I', a[0]) + strings(*a[1:]))
            else:
                out += packet(kind, strings(*a))
        if out:
            s.sendall(out)

    def negotiate(self, s, data):
        version, actions, protocol = struct.unpack('>III', data[:12])
        agreed = self.script.get('protocol', 0) & protocol
        if 'optneg' in self.script:
            self.steps(s, self.script['optneg'])
            return agreed
        answer = struct.pack('>III', self.script.get('version', min(version, 6)), self.script.get('actions', 0x1FF) & actions, agreed)
        for stage, names in self.script.get('symlist', {}).items():
            answer += struct.pack('>I', int(stage)) + strings(names)
        s.sendall(packet('O', answer))
        return agreed

    def connection(self, s, n):
        splitter, agreed = Splitter(), 0
        self.say(n, 'open')
        try:
            while True:
                received = s.recv(1 << 16)
                if not received:
                    break
                for command, data in splitter.feed(received):
                    self.say(n, describe(command, data))
                    if command == 'Q':
                        return
                    if command == 'O':
                        agreed = self.negotiate(s, data)
                        continue
                    rule = self.script.get('on', {}).get(command)
                    if rule and isinstance(rule[0], dict):
                        argument = data.decode('utf-8', 'replace')
                        rule = next((r['do'] for r in rule if r.get('if', '') in argument), None)
                    if rule is not None:
                        self.steps(s, rule)
                    elif command == 'E' or command in NR and not agreed & NR[command]:
                        s.sendall(packet('c'))
        except (OSError, EOFError) as e:
            self.say(n, repr(e))
        finally:
            self.say(n, 'closed')
            s.close()


args, log = sys.argv[1:], None
if args[:1] == ['--log']:
    log = open(args[1], 'a', buffering=1)
    args = args[2:]
if not args:
    sys.exit(__doc__)
script = args[1] if len(args) > 1 else '{}'
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
Raw(args[0], json.loads(open(script[1:]).read() if script.startswith('@') else script), log).serve()
