/**
 * enma, SPF, Sender ID and DKIM: `milter.socket` of enma.conf. A key that ends in `tarpit` makes clients wait, which lengthens the time that an answer
 * to a command may take.
 */
import { COMMAND, longer, type Product, plus, RANK, seconds } from '../product.ts'
import { readKeys } from '../text/key-value.ts'

export const enma: Product = {
  name: 'enma',
  title: 'enma',
  services: ['enma'],
  rcScripts: ['milter-enma', 'enma'],
  options: { letters: 'c', of: { config: 'c' } },
  config: {
    files: ['/etc/enma.conf', '/etc/enma/enma.conf', '/usr/local/etc/enma.conf', '/usr/pkg/etc/enma.conf'],
    operand: true,
    read: text => readKeys(text, 'colon'),
    keys: { socket: 'milter.socket', user: 'milter.user', pidFile: 'milter.pidfile' },
  },
  variables: { socket: ['SOCKET', 'socket'], config: ['CONFIG_FILE', 'cfgfile'] },
  timeouts: ({ settings }) => {
    const waits = [...settings].flatMap(([key, setting]) => (key.endsWith('tarpit') ? (seconds(setting) ?? []) : []))
    const [first, ...more] = waits
    return first === undefined ? {} : { command: plus(more.reduce(longer, first), COMMAND) }
  },
  use: () => ({ rank: RANK.spf, condition: 'remote', onFailure: 'tempfail' }),
}
