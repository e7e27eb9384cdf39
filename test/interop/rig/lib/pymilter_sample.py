#!/usr/bin/python3
"""pymilter_sample.py [--noreply] [--log F] SOCKET [TIMEOUT]
A milter on the real libmilter, through Debian's python3-milter. SOCKET is in libmilter's syntax: inet:PORT@127.0.0.1, local:/path.
What it does is asked for in the mail itself. By the local part of a sender or recipient:
  reject@ tempfail@ discard@ accept@ reply550@ reply451@ reply421@ multi550@ sleepN@ (N seconds)
By headers 'X-Milter-Do: VERB ARGS' (any number), carried out in order at the end of the message:
  addheader NAME VALUE | insheader INDEX NAME VALUE | chgheader NAME INDEX VALUE | delheader NAME INDEX | addrcpt ADDR [ARGS]
  delrcpt ADDR | chgfrom ADDR [ARGS] | chgbody TEXT | bigbody KIB | quarantine REASON | sleep N
  progress N (one a second, N times) | reject | tempfail | discard | accept | reply CODE XCODE TEXT
By a header 'X-Milter-At: STAGE VERDICT', at that stage of the content: header (at once), eoh or body; reject tempfail discard accept.
Every message also gets X-Rig-Milter: NAME, where NAME is $RIG_MILTER_NAME or 'pymilter'."""
import os, sys, threading, time
import Milter

args = sys.argv[1:]
noreply, log = False, None
while args and args[0].startswith('--'):
    option = args.pop(0)
    if option == '--noreply':
        noreply = True
    elif option == '--log':
        log = open(args.pop(0), 'a', buffering=1)
    else:
        sys.exit(__doc__)
socket, timeout = args[0], int(args[1]) if len(args) > 1 else 7200
name = os.environ.get('RIG_MILTER_NAME', 'pymilter')
lock, count = threading.Lock(), 0

VERDICTS = {'reject': Milter.REJECT, 'tempfail': Milter.TEMPFAIL, 'discard': Milter.DISCARD, 'accept': Milter.ACCEPT}
REPLIES = {
    'reply550': (Milter.REJECT, '550', '5.7.1', 'Rig says no'),
    'reply451': (Milter.TEMPFAIL, '451', '4.7.1', 'Rig says later'),
    'reply421': (Milter.TEMPFAIL, '421', '4.7.0', 'Rig closes'),
    'multi550': (Milter.REJECT, '550', '5.7.1', 'Line one', 'Line two 100%%', 'Line three'),
}


def maybe_silent(f):
    return Milter.noreply(f) if noreply else f


class Rig(Milter.Base):
    def __init__(self):
        global count
        with lock:
            count += 1
            self.id = count
        self.todo = []

    def say(self, *what):
        if log:
            log.write('%.3f m%d %s\n' % (time.time(), self.id, ' '.join(map(str, what))))

    def verdict(self, address):
        user = address.strip('<>').split('@')[0]
        if user.startswith('sleep') and user[5:].replace('.', '').isdigit():
            time.sleep(float(user[5:]))
            self.say('slept', user[5:])
        if user in REPLIES:
            self.setreply(*REPLIES[user][1:])
            return REPLIES[user][0]
        return VERDICTS.get(user, Milter.CONTINUE)

    @maybe_silent
    def connect(self, host, family, address):
        self.say('connect', host, family, address, 'j=', self.getsymval('j'))
        return Milter.CONTINUE

    @maybe_silent
    def hello(self, helo):
        self.say('helo', helo)
        return Milter.CONTINUE

    def envfrom(self, sender, *parameters):
        self.say('mail', sender, parameters, 'auth=', self.getsymval('{auth_authen}'))
        self.todo, self.early = [], {}
        return self.verdict(sender)

    def envrcpt(self, recipient, *parameters):
        self.say('rcpt', recipient, parameters)
        self.say('macros', *['%s=%s' % (m, self.getsymval('{%s}' % m)) for m in ('stress', 'trusted_domain')])
        return self.verdict(recipient)

    @maybe_silent
    def data(self):
        self.say('data i=', self.getsymval('i'))
        return Milter.CONTINUE

    @maybe_silent
    def header(self, field, value):
        if field.lower() == 'x-milter-do':
            self.todo.append(value.strip().split(' '))
        if field.lower() == 'x-milter-at':
            stage, verdict = value.split()
            self.early[stage] = VERDICTS[verdict]
        return self.early.get('header', Milter.CONTINUE)

    @maybe_silent
    def eoh(self):
        self.say('eoh')
        return self.early.get('eoh', Milter.CONTINUE)

    @maybe_silent
    def body(self, chunk):
        self.say('body', len(chunk))
        return self.early.get('body', Milter.CONTINUE)

    @maybe_silent
    def unknown(self, command):
        self.say('unknown', command)
        return Milter.CONTINUE

    def eom(self):
        self.say('eom')
        self.addheader('X-Rig-Milter', name)
        for verb, *rest in self.todo:
            try:
                verdict = self.carry_out(verb, rest)
            except Exception as e:
                self.say('do', verb, rest, 'failed:', repr(e))
                continue
            if verdict is not None:
                return verdict
        return Milter.CONTINUE

    def carry_out(self, verb, rest):
        join = ' '.join
        optional = [join(rest[1:])] if rest[1:] else []
        if verb == 'addheader':
            self.addheader(rest[0], join(rest[1:]))
        elif verb == 'insheader':
            self.addheader(rest[1], join(rest[2:]), int(rest[0]))
        elif verb == 'chgheader':
            self.chgheader(rest[0], int(rest[1]), join(rest[2:]))
        elif verb == 'delheader':
            self.chgheader(rest[0], int(rest[1]), '')
        elif verb == 'addrcpt':
            self.addrcpt(rest[0], *optional)
        elif verb == 'delrcpt':
            self.delrcpt(rest[0])
        elif verb == 'chgfrom':
            self.chgfrom(rest[0], *optional)
        elif verb == 'chgbody':
            self.replacebody((join(rest) + '\r\n').encode())
        elif verb == 'bigbody':
            self.replacebody((b'0123456789' * 7 + b'\r\n') * (int(rest[0]) * 1024 // 72))
        elif verb == 'quarantine':
            self.quarantine(join(rest))
        elif verb == 'sleep':
            time.sleep(float(rest[0]))
        elif verb == 'progress':
            for _ in range(int(rest[0])):
                time.sleep(1)
                self.progress()
        elif verb == 'reply':
            self.setreply(rest[0], rest[1], join(rest[2:]))
            return Milter.REJECT if rest[0][0] == '5' else Milter.TEMPFAIL
        return VERDICTS.get(verb)

    def abort(self):
        self.say('abort')
        return Milter.CONTINUE

    def close(self):
        self.say('close')
        return Milter.CONTINUE


Milter.factory = Rig
Milter.set_flags(Milter.ADDHDRS | Milter.CHGBODY | Milter.ADDRCPT | Milter.ADDRCPT_PAR | Milter.DELRCPT | Milter.CHGHDRS
                 | Milter.QUARANTINE | Milter.CHGFROM)
os.umask(0)
Milter.runmilter(name, socket, timeout)
