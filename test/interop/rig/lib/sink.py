#!/usr/bin/python3
"""sink.py [--smtp] [--portfile F] HOST PORT OUTDIR
Where mail ends: speaks LMTP (default) or SMTP and stores each message as OUTDIR/NNNNNN.eml (exact bytes, dot-unstuffed) and
OUTDIR/NNNNNN.json (n, time, helo, mailfrom and rcpts with their parameters; bytes as latin-1). The .json is written last, by
rename: once it exists the message is complete. PORT 0 takes a free one; --portfile says which."""
import asyncio, json, os, signal, sys, time

args = sys.argv[1:]
smtp = False
portfile = None
while args and args[0].startswith('--'):
    option = args.pop(0)
    if option == '--smtp':
        smtp = True
    elif option == '--portfile':
        portfile = args.pop(0)
    else:
        sys.exit(__doc__)
host, port, out = args[0], int(args[1]), args[2]
os.makedirs(out, exist_ok=True)
count = max([int(f[:6]) for f in os.listdir(out) if f[:6].isdigit()] or [0])


def store(body, **envelope):
    global count
    count += 1
    base = os.path.join(out, '%06d' % count)
    with open(base + '.eml', 'wb') as f:
        f.write(b''.join(body))
    with open(base + '.tmp', 'w') as f:
        json.dump(dict(n=count, time=time.time(), **envelope), f, indent=1)
    os.rename(base + '.tmp', base + '.json')
    return count


async def content(reader):
    body = []
    while True:
        line = await reader.readline()
        if not line:
            return None
        if line in (b'.\r\n', b'.\n'):
            return body
        body.append(line[1:] if line[:1] == b'.' else line)


async def serve(reader, writer):
    def say(s):
        writer.write(s.encode() + b'\r\n')

    helo, sender, rcpts = None, None, []
    say('220 sink.example %s' % ('ESMTP' if smtp else 'LMTP'))
    try:
        while True:
            await writer.drain()
            line = await reader.readline()
            if not line:
                break
            s = line.decode('latin-1').rstrip('\r\n')
            verb = s.split(' ')[0].upper()
            if verb in ('LHLO', 'EHLO', 'HELO'):
                helo = s
                for e in ('sink.example', 'PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN', 'ENHANCEDSTATUSCODES'):
                    say('250-' + e)
                say('250 SIZE 104857600')
            elif verb == 'MAIL':
                sender, rcpts = s[10:].strip(), []
                say('250 2.1.0 ok')
            elif verb == 'RCPT':
                rcpts.append(s[8:].strip())
                say('250 2.1.5 ok')
            elif verb == 'DATA':
                say('354 go')
                await writer.drain()
                body = await content(reader)
                if body is None:
                    return
                n = store(body, helo=helo, mailfrom=sender, rcpts=rcpts)
                for _ in [1] if smtp else rcpts:
                    say('250 2.0.0 stored as %06d' % n)
            elif verb in ('RSET', 'NOOP'):
                say('250 2.0.0 ok')
            elif verb == 'QUIT':
                say('221 2.0.0 bye')
                await writer.drain()
                break
            else:
                say('500 5.5.1 what?')
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, host, port, limit=1 << 24, backlog=512)
    if portfile:
        with open(portfile + '.tmp', 'w') as f:
            f.write(str(server.sockets[0].getsockname()[1]))
        os.rename(portfile + '.tmp', portfile)
    async with server:
        await server.serve_forever()


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
asyncio.run(main())
