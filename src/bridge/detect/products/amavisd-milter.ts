/** amavisd-milter: `-s`, or `MILTERSOCKET` of Debian's settings file. It waits for amavisd as long as `-M` says, 300 s unless set. */
import { type Product, plus, RANK, SLACK, seconds } from '../product.ts'

export const amavisdMilter: Product = {
  name: 'amavisd-milter',
  title: 'amavisd-milter',
  services: ['amavisd-milter', 'amavisd-new-milter'],
  rcScripts: ['amavisd-milter', 'amavis-milter', 'amavisd_milter'],
  options: { letters: 'dDmMpqstSTw', of: { socket: 's', pidFile: 'p' } },
  variables: { socket: ['MILTERSOCKET', 'MILTER_SOCKET', 'socket'], user: ['SYSTEMUSER'], pidFile: ['PIDFILE'] },
  defaultSocket: tree =>
    tree.exists('/usr/local/etc/rc.d/amavisd-milter')
      ? 'unix:/var/amavis/amavisd-milter.sock'
      : 'unix:/var/lib/amavis/amavisd-milter.sock',
  defaultUser: 'amavis',
  timeouts: ({ options: { options } }) => ({
    end: plus(seconds(options.get('M')) ?? { value: 300, source: null }, SLACK),
  }),
  use: () => ({ rank: RANK.content, condition: null, onFailure: 'tempfail' }),
}
