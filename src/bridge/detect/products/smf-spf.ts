/** smf-spf: `Socket` and `User` of smf-spf.conf. */
import { type Product, RANK } from '../product.ts'
import { readKeys } from '../text/key-value.ts'

export const smfSpf: Product = {
  name: 'smf-spf',
  title: 'smf-spf',
  services: ['smf-spf', 'smfs-spf'],
  rcScripts: ['smf-spf', 'smfspf'],
  options: { letters: 'c', of: { config: 'c' } },
  config: {
    files: [
      '/etc/mail/smfs/smf-spf.conf',
      '/etc/smf-spf.conf',
      '/etc/mail/smf-spf.conf',
      '/usr/local/etc/smfs/smf-spf.conf',
      '/usr/pkg/etc/smf-spf.conf',
    ],
    read: text => readKeys(text, 'words'),
    keys: { socket: 'socket', user: 'user' },
  },
  defaultSocket: () => 'unix:/var/run/smfs/smf-spf.sock',
  defaultUser: 'smfs',
  use: () => ({ rank: RANK.spf, condition: 'remote', onFailure: 'tempfail' }),
}
