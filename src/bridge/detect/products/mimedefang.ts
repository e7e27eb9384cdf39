/**
 * MIMEDefang: `-p`, or `SOCKET` of its unit or settings file, in its spool folder unless set. Its multiplexor gives a filter `MX_BUSY`
 * seconds, 600 in the packages.
 */
import { type Product, RANK, seconds } from '../product.ts'

export const mimedefang: Product = {
  name: 'mimedefang',
  title: 'MIMEDefang',
  services: ['mimedefang'],
  rcScripts: ['mimedefang', 'mimedefang.sh'],
  options: { letters: 'abLmnpPRSTUxz', of: { socket: 'p', pidFile: 'P', user: 'U' } },
  variables: { socket: ['SOCKET', 'socket'], user: ['MX_USER', 'user'], pidFile: ['PID'] },
  defaultSocket: () => '/var/spool/MIMEDefang/mimedefang.sock',
  defaultUser: 'defang',
  timeouts: ({ service }) => ({ end: seconds(service.variables.get('MX_BUSY')) ?? { value: 600, source: null } }),
  use: () => ({ rank: RANK.content, condition: null, onFailure: 'tempfail' }),
}
