/** OpenDMARC: `-p` or `Socket`; reads the results of SPF and DKIM filters before it. */
import { type Product, RANK } from '../product.ts'
import { readKeys } from '../text/key-value.ts'

export const opendmarc: Product = {
  name: 'opendmarc',
  title: 'OpenDMARC',
  services: ['opendmarc'],
  rcScripts: ['opendmarc'],
  options: { letters: 'cpPu', of: { socket: 'p', pidFile: 'P', user: 'u', config: 'c' } },
  config: {
    files: [
      '/etc/opendmarc.conf',
      '/etc/opendmarc/opendmarc.conf',
      '/usr/local/etc/mail/opendmarc.conf',
      '/usr/pkg/etc/opendmarc.conf',
    ],
    read: text => readKeys(text, 'words'),
    keys: { socket: 'socket', user: 'userid', pidFile: 'pidfile', root: 'changerootdirectory' },
  },
  variables: { socket: ['SOCKET', 'socketspec'], user: ['runas'], config: ['cfgfile'], pidFile: ['pidfile'] },
  use: () => ({ rank: RANK.dmarc, condition: 'remote', onFailure: 'tempfail' }),
}
