/**
 * spamass-milter: `-p`, or `SOCKET` of its settings file. Debian's init script puts the socket into Postfix's chroot where Postfix is
 * installed. It hands messages to spamc, whose options follow `--`; spamc gives spamd 600 s unless told otherwise.
 */
import { type Product, RANK, seconds } from '../product.ts'
import { readOptions } from '../text/options.ts'

export const spamassMilter: Product = {
  name: 'spamass-milter',
  title: 'spamass-milter',
  services: ['spamass-milter'],
  rcScripts: ['spamass-milter', 'spamass_milter'],
  options: { letters: 'bBCdDegipPrRuT', of: { socket: 'p', pidFile: 'P' } },
  variables: { socket: ['SOCKET', 'socket'], user: ['RUNAS'], pidFile: ['PIDFILE'] },
  defaultSocket: tree =>
    tree.exists('/usr/sbin/postfix') && tree.exists('/etc/default/spamass-milter')
      ? '/var/spool/postfix/spamass/spamass.sock'
      : null,
  timeouts: ({ options: { rest } }) => {
    const { options } = readOptions(rest, 'dptsuUFnx')
    return { end: seconds(options.get('t')) ?? { value: 600, source: null } }
  },
  use: () => ({ rank: RANK.spam, condition: 'remote', onFailure: 'tempfail' }),
}
