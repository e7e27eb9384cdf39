/**
 * spamass-milter: `-p`, or `SOCKET` of its settings file. Debian's init script puts the socket into Postfix's chroot where Postfix is
 * installed; Fedora's package has the socket in /run, or in a folder of Postfix's. It hands messages to spamc, whose options follow `--`; spamc gives spamd 600 s unless told otherwise.
 */
import { type Product, RANK, seconds } from '../product.ts'
import { readOptions } from '../text/options.ts'

export const spamassMilter: Product = {
  name: 'spamass-milter',
  title: 'spamass-milter',
  // Fedora's second unit runs it as root, which expanding aliases (-x) needs.
  services: ['spamass-milter', 'spamass-milter-root'],
  rcScripts: ['spamass-milter', 'spamass_milter'],
  options: { letters: 'bBCdDegipPrRSuT', of: { socket: 'p', pidFile: 'P' } },
  variables: { socket: ['SOCKET', 'socket'], user: ['RUNAS'], pidFile: ['PIDFILE'] },
  defaultSocket: tree => {
    if (tree.exists('/etc/sysconfig/spamass-milter')) return '/run/spamass-milter/spamass-milter.sock'
    return tree.exists('/usr/sbin/postfix') && tree.exists('/etc/default/spamass-milter')
      ? '/var/spool/postfix/spamass/spamass.sock'
      : null
  },
  timeouts: ({ options: { rest } }) => {
    const { options } = readOptions(rest, 'dptsuUFnx')
    return { end: seconds(options.get('t')) ?? { value: 600, source: null } }
  },
  use: () => ({ rank: RANK.spam, condition: 'remote', onFailure: 'tempfail' }),
}
