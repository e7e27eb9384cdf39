"""The milter packet format for rawmilter.py: framing, names for its log, the listening socket. No dependencies."""
import os, socket, struct

CMD = {'A': 'ABORT', 'B': 'BODY', 'C': 'CONNECT', 'D': 'MACRO', 'E': 'BODYEOB', 'H': 'HELO', 'K': 'QUIT_NC', 'L': 'HEADER',
       'M': 'MAIL', 'N': 'EOH', 'O': 'OPTNEG', 'Q': 'QUIT', 'R': 'RCPT', 'T': 'DATA', 'U': 'UNKNOWN'}


def packet(command, data=b''):
    return struct.pack('>I', len(data) + 1) + command.encode('latin-1') + data


def strings(*s):
    return b''.join(x.encode('utf-8', 'surrogateescape') + b'\0' for x in s)


def describe(command, data):
    if command == 'O' and len(data) >= 12:
        return 'OPTNEG version=%d actions=0x%x protocol=0x%x' % struct.unpack('>III', data[:12])
    text = data.decode('latin-1')
    if command == 'C':
        text = repr(text)
    elif command == 'D':
        text = CMD.get(text[:1], text[:1]) + ' ' + repr(text[1:].split('\0')[:-1])
    else:
        text = repr(text.split('\0')[:-1] if text.endswith('\0') else text)
    return '%s %s' % (CMD.get(command, command), text if len(text) <= 300 else text[:300] + '... (%d)' % len(text))


class Splitter:
    """feed(bytes) -> list of (command, data)"""

    def __init__(self):
        self.pending = b''

    def feed(self, data):
        self.pending += data
        out = []
        while len(self.pending) >= 4:
            n = struct.unpack('>I', self.pending[:4])[0]
            if len(self.pending) < 4 + n or n == 0:
                break
            out.append((chr(self.pending[4]), self.pending[5:4 + n]))
            self.pending = self.pending[4 + n:]
        return out


def listen(spec):
    """inet:HOST:PORT or unix:/path"""
    kind, rest = spec.split(':', 1)
    if kind == 'unix':
        if os.path.exists(rest):
            os.unlink(rest)
        s = socket.socket(socket.AF_UNIX)
        s.bind(rest)
        os.chmod(rest, 0o777)
    else:
        host, port = rest.rsplit(':', 1)
        host = host.strip('[]')
        s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((host, int(port)))
    s.listen(512)
    return s
