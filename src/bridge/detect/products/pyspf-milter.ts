/**
 * pyspf-milter: `Socket` of the file that its command line names; a look-up may take `Lookup_Time`, 20 s unless it is set. It removes no result of
 * others, whereas dkimpy-milter 1.2.3 removes every `Authentication-Results` under its own name: behind that, and before OpenDMARC, its result lasts.
 */
import { COMMAND, longer, type Product, plus, RANK, SLACK, seconds } from '../product.ts'
import { readKeys } from '../text/key-value.ts'

export const pyspfMilter: Product = {
  name: 'pyspf-milter',
  title: 'pyspf-milter',
  services: ['pyspf-milter'],
  rcScripts: ['pyspf-milter', 'pyspf_milter'],
  options: { letters: 'P', of: { pidFile: 'P' } },
  config: {
    files: [
      '/etc/pyspf-milter/pyspf-milter.conf',
      '/usr/local/etc/pyspf-milter/pyspf-milter.conf',
      '/usr/pkg/etc/pyspf-milter/pyspf-milter.conf',
    ],
    operand: true,
    read: text => readKeys(text, 'equals'),
    keys: { socket: 'socket', user: 'userid', pidFile: 'pidfile' },
  },
  timeouts: ({ settings }) => {
    const lookup = seconds(settings.get('lookup_time'))
    return { command: longer({ value: COMMAND, source: null }, lookup && plus(lookup, SLACK)) }
  },
  use: () => ({ rank: RANK.verifier + 1, condition: 'remote', onFailure: 'tempfail' }),
}
