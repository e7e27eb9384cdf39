/** OpenDKIM: `-p` or `Socket`; signs, verifies or both as `Mode` says. */
import { type Product, RANK } from '../product.ts'
import { readKeys } from '../text/key-value.ts'

export const opendkim: Product = {
  name: 'opendkim',
  title: 'OpenDKIM',
  services: ['opendkim'],
  rcScripts: ['milter-opendkim', 'opendkim'],
  options: { letters: 'bcdDeFkKLmMnopPsStTuUx', of: { socket: 'p', pidFile: 'P', user: 'u', config: 'x' } },
  config: {
    files: [
      '/etc/opendkim.conf',
      '/etc/opendkim/opendkim.conf',
      '/usr/local/etc/mail/opendkim.conf',
      '/usr/pkg/etc/opendkim.conf',
    ],
    read: text => readKeys(text, 'words'),
    keys: { socket: 'socket', user: 'userid', pidFile: 'pidfile', root: 'changerootdirectory' },
  },
  variables: { socket: ['SOCKET', 'socket'], user: ['uid'], config: ['cfgfile'] },
  // A verifier has to come before OpenDMARC, which reads its result; one that only signs comes last, after all that edit.
  use: ({ settings, options }) => {
    const mode = options.options.get('b')?.value ?? settings.get('mode')?.value ?? 'sv'
    return { rank: mode.includes('v') ? RANK.verifier : RANK.signer, condition: null, onFailure: 'tempfail' }
  },
}
