/**
 * enma, SPF, Sender ID, DKIM and ADSP: `milter.socket` of the file that `-c` names, else the address that is built in. It has no setting that
 * makes clients wait, so none of its settings lengthens a timeout.
 */
import { type Product, RANK } from '../product.ts'
import { readKeys } from '../text/key-value.ts'

export const enma: Product = {
  name: 'enma',
  title: 'enma',
  services: ['enma'],
  rcScripts: ['milter-enma', 'enma'],
  options: { letters: 'co', of: { config: 'c' } },
  config: {
    files: ['/etc/enma.conf', '/etc/enma/enma.conf', '/usr/local/etc/enma.conf', '/usr/pkg/etc/enma.conf'],
    read: text => readKeys(text, 'colon'),
    keys: { socket: 'milter.socket', user: 'milter.user', pidFile: 'milter.pidfile' },
  },
  variables: { socket: ['SOCKET', 'socket'], config: ['CONFIG_FILE', 'cfgfile'] },
  defaultSocket: () => 'inet:10025@127.0.0.1',
  use: () => ({ rank: RANK.spf, condition: 'remote', onFailure: 'tempfail' }),
}
