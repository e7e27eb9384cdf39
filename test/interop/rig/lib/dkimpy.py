#!/usr/bin/python3
"""dkimpy.py: signs and verifies with dkimpy (Debian's python3-dkim), a JSON list of jobs on standard input, results on output.
Job: {"do": "verify"|"arc", "message": base64, "txt": {name: value}} gives true or false;
     {"do": "sign", "message": base64, "domain", "selector", "key": PEM or base64, "ed25519": bool, "c": ["relaxed","simple"]}
     gives the header field."""
import base64, json, sys
import dkim

def job(work):
    message = base64.b64decode(work['message'])
    if work['do'] == 'sign':
        return dkim.sign(message, work['selector'].encode(), work['domain'].encode(), work['key'].encode(),
                         canonicalize=tuple(part.encode() for part in work['c']),
                         signature_algorithm=b'ed25519-sha256' if work.get('ed25519') else b'rsa-sha256').decode('latin1')
    zone = {name.rstrip('.') + '.': value.encode() for name, value in work['txt'].items()}
    def txt(name, timeout=5):
        return zone.get((name.decode() if isinstance(name, bytes) else name).rstrip('.') + '.')
    if work['do'] == 'arc':
        cv, results, reason = dkim.arc_verify(message, dnsfunc=txt)
        return cv.decode() if cv else str(reason)
    signer = dkim.DKIM(message)
    count = sum(line.lower().startswith(b'dkim-signature:') for line in message.split(b'\r\n\r\n')[0].split(b'\r\n'))
    try:
        return count > 0 and all(signer.verify(idx=index, dnsfunc=txt) for index in range(count))
    except dkim.DKIMException:
        return False

json.dump([job(work) for work in json.load(sys.stdin)], sys.stdout)
