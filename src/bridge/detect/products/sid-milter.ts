/** sid-milter, Sender ID and SPF: `-p` of its command line, or `SOCKET` of its settings file. */
import { type Product, RANK } from '../product.ts'

export const sidMilter: Product = {
  name: 'sid-milter',
  title: 'sid-milter',
  services: ['sid-milter', 'sid-filter', 'sid-mf'],
  rcScripts: ['milter-sid', 'sid-milter'],
  options: { letters: 'aDpPruT', of: { socket: 'p', pidFile: 'P', user: 'u' } },
  variables: { socket: ['SOCKET', 'socket'], user: ['USER', 'uid'], pidFile: ['PIDFILE', 'pidfile'] },
  use: () => ({ rank: RANK.spf, condition: 'remote', onFailure: 'tempfail' }),
}
