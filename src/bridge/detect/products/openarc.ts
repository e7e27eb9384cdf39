/** OpenARC: `-p` or `Socket`; seals what the others have made of the message, so it comes last. */
import { type Product, RANK } from '../product.ts'
import { readKeys } from '../text/key-value.ts'

export const openarc: Product = {
  name: 'openarc',
  title: 'OpenARC',
  services: ['openarc'],
  rcScripts: ['openarc'],
  options: { letters: 'acCpPtu', of: { socket: 'p', pidFile: 'P', user: 'u', config: 'c' } },
  config: {
    files: [
      '/etc/openarc.conf',
      '/etc/openarc/openarc.conf',
      '/usr/local/etc/mail/openarc.conf',
      '/usr/pkg/etc/openarc.conf',
    ],
    read: text => readKeys(text, 'words'),
    keys: { socket: 'socket', user: 'userid', pidFile: 'pidfile', root: 'changerootdirectory' },
  },
  variables: { socket: ['SOCKET', 'socket'], user: ['runas', 'uid'], config: ['cfgfile'] },
  use: ({ settings }) => {
    const mode = settings.get('mode')?.value ?? 'sv'
    return { rank: mode.includes('s') ? RANK.signer : RANK.verifier, condition: null, onFailure: 'tempfail' }
  },
}
