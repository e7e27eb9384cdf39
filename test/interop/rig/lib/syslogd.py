#!/usr/bin/python3
"""syslogd.py SOCKET FILE : listens on the datagram socket SOCKET and appends what syslog(3) sends there to FILE."""
import os, signal, socket, sys, time

path, out = sys.argv[1:3]
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind(path)
os.chmod(path, 0o666)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
with open(out, 'ab', buffering=0) as f:
    while True:
        f.write(b'%.3f ' % time.time() + log.recv(65536).rstrip(b'\0\n') + b'\n')
